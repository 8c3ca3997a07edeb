use proptest::prelude::*;
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded, taken};

use super::*;
use crate::frame::{AgentKind, HostKind};
use crate::{AgentFrame, FieldFault, HostFrame, samples};

fn encoded<F: Frame>(frames: &[F]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes).unwrap());
    bytes
}

/// All frames of bytes that come in pieces of these lengths, again and again.
fn decoded<F: Frame>(bytes: &[u8], pieces: &[usize]) -> Result<Vec<F>, DecodeError> {
    let mut decoder = Decoder::default();
    let (mut frames, mut rest) = (Vec::new(), bytes);
    for piece in pieces.iter().cycle() {
        let (mut now, later) = rest.split_at((*piece).clamp(1, rest.len().max(1)).min(rest.len()));
        while !now.is_empty() {
            frames.extend(decoder.next(&mut now)?);
        }
        rest = later;
        if rest.is_empty() {
            // A payload of no bytes is whole with its head.
            return Ok(frames);
        }
    }
    unreachable!("there is a piece")
}

#[test]
fn there_is_a_sample_of_every_kind() {
    let host: Vec<_> = samples::host(b"x", 1).iter().map(HostFrame::kind).collect();
    assert_eq!(host, HostKind::ALL);
    let agent: Vec<_> = samples::agent(b"x", 1).iter().map(AgentFrame::kind).collect();
    assert_eq!(agent, AgentKind::ALL);
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_whatever_the_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        number: u64,
        pieces in proptest::collection::vec(1_usize..100, 1..20),
    ) {
        let host = samples::host(&bytes, number);
        prop_assert_eq!(decoded::<HostFrame>(&encoded(&host), &pieces).unwrap(), host);
        let agent = samples::agent(&bytes, number);
        prop_assert_eq!(decoded::<AgentFrame>(&encoded(&agent), &pieces).unwrap(), agent);
    }

    #[test]
    fn any_bytes_are_frames_that_can_be_sent_again_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0_usize..HostKind::ALL.len() + AgentKind::ALL.len(),
    ) {
        let number = match HostKind::ALL.get(kind) {
            Some(kind) => *kind as u8,
            None => AgentKind::ALL[kind - HostKind::ALL.len()] as u8,
        };
        let mut frame = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
        frame.push(number);
        frame.extend(&bytes);
        if let Ok(frames) = decoded::<HostFrame>(&frame, &[7]) {
            prop_assert_eq!(decoded::<HostFrame>(&encoded(&frames), &[9]).unwrap(), frames);
        }
        if let Ok(frames) = decoded::<AgentFrame>(&frame, &[7]) {
            prop_assert_eq!(decoded::<AgentFrame>(&encoded(&frames), &[9]).unwrap(), frames);
        }
    }

    #[test]
    fn fields_in_any_order_with_unknown_ones_between_are_understood(
        order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
        unknown in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let field = |tag: u16, bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap();
            [&tag.to_le_bytes()[..], &length.to_le_bytes(), bytes].concat()
        };
        let fields = [
            field(1, &1_u16.to_le_bytes()),
            field(2, &0_u64.to_le_bytes()),
            field(3, &1_u16.to_le_bytes()),
            field(900, &unknown),
        ];
        let payload: Vec<u8> = order.iter().flat_map(|at| fields[*at].clone()).collect();
        let bytes = [&HostKind::Hello.header(payload.len()).unwrap()[..], &payload].concat();
        let frames = decoded::<HostFrame>(&bytes, &[100]).unwrap();
        prop_assert_eq!(frames[0].kind(), HostKind::Hello);
    }
}

#[test]
fn what_stands_behind_a_frame_is_left_for_the_caller() {
    let bytes = [encoded(&[samples::agent(b"", 0).remove(13)]), b"raw bytes".to_vec()].concat();
    let mut rest = &bytes[..];
    let mut decoder = Decoder::<AgentFrame>::default();
    assert_eq!(decoder.next(&mut rest).unwrap().unwrap().kind(), AgentKind::ForwardStarted);
    assert_eq!(rest, b"raw bytes");
    assert!(!decoder.is_within_frame());
}

#[test]
fn a_length_beyond_its_limit_is_refused_before_anything_is_set_aside() {
    let mut bytes = u32::MAX.to_le_bytes().to_vec();
    bytes.push(AgentKind::Stdout as u8);
    let used = taken(|| {
        let error = decoded::<AgentFrame>(&bytes, &[1]).unwrap_err();
        let limit = MAX_DATA;
        assert_eq!(error, DecodeError::TooLong { kind: 131, length: u32::MAX, limit });
    });
    assert!(used.peak < 1 << 10, "{used:?}");
}

#[test]
fn a_length_that_is_allowed_takes_no_memory_before_its_bytes_come() {
    let mut bytes = (1_u32 << 20).to_le_bytes().to_vec();
    bytes.push(HostKind::StartExec as u8);
    let used = taken(|| {
        let mut decoder = Decoder::<HostFrame>::default();
        assert_eq!(decoder.next(&mut &bytes[..]), Ok(None));
        assert!(decoder.is_within_frame());
        decoder
    });
    assert!(used.peak <= SOME as u64, "{used:?}");
}

#[test]
fn a_frame_of_the_wrong_side_or_of_none_is_refused_and_nothing_is_read_after_it() {
    let mut decoder = Decoder::<HostFrame>::default();
    let bytes = encoded(&samples::agent(b"x", 1));
    let refused = Err(DecodeError::UnknownKind(128));
    assert_eq!(decoder.next(&mut &bytes[..]), refused);
    let good = encoded(&samples::host(b"x", 1));
    assert_eq!(decoder.next(&mut &good[..]), refused);
}

#[test]
fn a_field_that_is_missing_twice_or_cut_short_is_named() {
    let hello = |fields: &[u8]| {
        let bytes = [&HostKind::Hello.header(fields.len()).unwrap()[..], fields].concat();
        match decoded::<HostFrame>(&bytes, &[100]) {
            Err(DecodeError::Payload(error)) => (error.field, error.fault),
            other => panic!("{other:?}"),
        }
    };
    let generation = [1, 0, 2, 0, 0, 0, 1, 0];
    assert_eq!(hello(&generation), ("features", FieldFault::Missing));
    assert_eq!(hello(&[generation, generation].concat()), ("generation", FieldFault::Twice));
    assert_eq!(hello(&[1, 0, 1, 0, 0, 0, 1]), ("generation", FieldFault::Length));
    assert_eq!(hello(&[3, 0, 2, 0, 0, 0, 99, 0]), ("session", FieldFault::Value));
    assert_eq!(hello(&[1, 0, 9, 0, 0, 0, 1]), ("a field", FieldFault::Truncated));
    assert_eq!(hello(&[1, 0]), ("a field", FieldFault::Truncated));
}

#[test]
fn a_frame_that_would_be_refused_is_not_sent() {
    let mut out = b"before".to_vec();
    let long = HostFrame::Stdin(vec![0; MAX_DATA as usize + 1].into());
    let error = long.encode(&mut out).unwrap_err();
    assert_eq!((error.frame, error.length, error.limit), ("Stdin", 65_537, 65_536));
    assert_eq!(out, b"before");
}

#[test]
fn reading_takes_memory_as_the_bytes_come() {
    // An entry of a list has a head of 6 bytes on the wire and one of 24 here; a vector of them may just have doubled.
    let bound = Bound { per_byte: 12, fixed: 256 << 10 };
    let start = |argument: &'static [u8]| {
        move |count: usize| {
            let argv = vec![argument.to_vec(); count];
            let mut frame = samples::host(b"", 0).remove(1);
            let HostFrame::StartExec(start) = &mut frame else { unreachable!() };
            start.argv = argv;
            encoded(&[frame])
        }
    };
    let read = |bytes: &[u8]| decoded::<HostFrame>(bytes, &[4096]).unwrap();
    assert_reading_is_bounded("empty arguments", 8_000, bound, start(b""), read);
    assert_reading_is_bounded("short arguments", 8_000, bound, start(b"x"), read);
    assert_reading_is_bounded("long arguments", 50, bound, start(&[b'x'; 4000]), read);
    let output = |count| encoded(&vec![AgentFrame::Stdout(vec![0; 65_536].into()); count]);
    let one_by_one = |bytes: &[u8]| {
        let (mut decoder, mut rest, mut count) = (Decoder::<AgentFrame>::default(), bytes, 0);
        while !rest.is_empty() {
            count += usize::from(decoder.next(&mut rest).unwrap().is_some());
        }
        count
    };
    let bound = Bound { per_byte: 0, fixed: 128 << 10 };
    assert_reading_is_bounded("output without an end", 20, bound, output, one_by_one);
}

#[test]
fn a_list_without_an_end_is_refused() {
    let mut frame = samples::host(b"", 0).remove(1);
    let HostFrame::StartExec(start) = &mut frame else { unreachable!() };
    start.argv = vec![Vec::new(); 40_000];
    let error = decoded::<HostFrame>(&encoded(&[frame]), &[65_536]).unwrap_err();
    let DecodeError::Payload(error) = error else { panic!("{error}") };
    assert_eq!((error.field, error.fault), ("argv", FieldFault::TooMany));
}
