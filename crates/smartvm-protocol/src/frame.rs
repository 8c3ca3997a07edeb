//! Frames: what one side may send, with a number and a limit each.

use crate::agent::{
    Exit, FactsAre, ForwardStarted, Gap, Pong, Quiesced, ReadStarted, Renewed, ShuttingDown,
    Started, StdinCredit, Thawed, Welcome, WriteStarted, Written,
};
use crate::host::{
    Detach, Facts, Hello, Ping, Quiesce, Renew, Resize, Shutdown, Signal, StartAttach, StartExec,
    StartForward, StartRead, StartWrite, StdinEnd, Thaw,
};
use crate::message::{Payload, PayloadError};
use crate::{Hidden, Refusal, agent, host};

/// How long the head of a frame is: the payload's length and the kind.
pub const HEADER: usize = 5;

/// The most bytes of a stream that one frame carries.
pub const MAX_DATA: u32 = 64 << 10;

/// For messages without anything that can be long.
const SMALL: u32 = 4 << 10;

/// For the paths of files: those of Linux have 4096 bytes.
const PATHS: u32 = 16 << 10;

/// For a program's arguments and environment. Linux takes more, but not by default beyond two of these.
const ARGUMENTS: u32 = 1 << 20;

/// Who sends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The host.
    FromHost,
    /// The agent.
    FromAgent,
}

/// A frame that is not sent, as the other side would not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to encode {frame}: it has {length} bytes, and at most {limit} are sent")]
pub struct EncodeError {
    /// The frame, by its name in the protocol.
    pub frame: &'static str,
    /// How long it is.
    pub length: usize,
    /// How long it may be.
    pub limit: u32,
}

mod sealed {
    use super::PayloadError;

    pub trait Receive: Sized {
        fn limit(number: u8) -> Option<u32>;
        fn receive(number: u8, payload: Vec<u8>) -> Result<Self, PayloadError>;
    }
}

pub(crate) use sealed::Receive;

/// A frame of either side.
pub trait Frame: Receive {
    /// Appends the frame's bytes to `out`; on an error, nothing.
    ///
    /// # Errors
    /// When it is longer than the other side takes.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

macro_rules! frames {
    (
        $(#[$attribute:meta])*
        $name:ident, $kind:ident, $direction:ident {
            $($(#[$frame_attribute:meta])* $number:literal $frame:ident($message:ty) $limit:ident,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$frame_attribute])* $frame($message),)*
        }

        /// The kinds of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $kind {
            $($(#[$frame_attribute])* $frame = $number,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$frame,)*];

            /// The kind with this number on the wire.
            pub const fn of_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$frame),)*
                    _ => None,
                }
            }

            /// How many bytes its payload may have.
            pub const fn limit(self) -> u32 {
                match self {
                    $(Self::$frame => $limit,)*
                }
            }

            /// Its name in the protocol.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$frame => stringify!($frame),)*
                }
            }

            /// The head of a frame of this kind whose payload is written by the caller: for bytes that need
            /// not be copied once more.
            ///
            /// # Errors
            /// When it would be longer than the other side takes.
            pub fn header(self, length: usize) -> Result<[u8; HEADER], EncodeError> {
                let limit = self.limit();
                match u32::try_from(length) {
                    Ok(number) if number <= limit => {
                        let [a, b, c, d] = number.to_le_bytes();
                        Ok([a, b, c, d, self as u8])
                    }
                    _ => Err(EncodeError { frame: self.name(), length, limit }),
                }
            }

            #[cfg(test)]
            pub(crate) const fn fields(self) -> &'static [(u16, &'static str, &'static str)] {
                match self {
                    $(Self::$frame => <$message as Payload>::FIELDS,)*
                }
            }
        }

        impl $name {
            /// Who sends it.
            pub const DIRECTION: Direction = Direction::$direction;

            /// Its kind.
            pub const fn kind(&self) -> $kind {
                match self {
                    $(Self::$frame(_) => $kind::$frame,)*
                }
            }
        }

        impl Receive for $name {
            fn limit(number: u8) -> Option<u32> {
                $kind::of_number(number).map($kind::limit)
            }

            fn receive(number: u8, payload: Vec<u8>) -> Result<Self, PayloadError> {
                match $kind::of_number(number) {
                    $(Some($kind::$frame) => <$message as Payload>::read(payload).map(Self::$frame),)*
                    None => unreachable!("a kind without a limit is refused before"),
                }
            }
        }

        impl Frame for $name {
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                let start = out.len();
                out.extend([0; HEADER]);
                match self {
                    $(Self::$frame(message) => message.write(out),)*
                }
                match self.kind().header(out.len() - start - HEADER) {
                    Ok(header) => {
                        out[start..start + HEADER].copy_from_slice(&header);
                        Ok(())
                    }
                    Err(error) => {
                        out.truncate(start);
                        Err(error)
                    }
                }
            }
        }
    };
}

frames! {
    /// A frame of the host.
    HostFrame, HostKind, FromHost {
        /// The first of a connection.
        1 Hello(Hello) SMALL,
        /// Starts an `Exec` session.
        2 StartExec(StartExec) ARGUMENTS,
        /// Starts an `Attach` session.
        3 StartAttach(StartAttach) SMALL,
        /// Bytes of a program's input.
        4 Stdin(Hidden) MAX_DATA,
        /// The end of it.
        5 StdinEnd(StdinEnd) SMALL,
        /// Another size of a terminal.
        6 Resize(Resize) SMALL,
        /// A signal for a program.
        7 Signal(Signal) SMALL,
        /// The program goes on alone.
        8 Detach(Detach) SMALL,
        /// Starts a `Read` session.
        16 StartRead(StartRead) PATHS,
        /// Starts a `Write` session.
        17 StartWrite(StartWrite) PATHS,
        /// Bytes of what is written.
        18 Data(Hidden) MAX_DATA,
        /// The end of it.
        19 DataEnd(host::DataEnd) SMALL,
        /// Starts a `Forward` session.
        24 StartForward(StartForward) SMALL,
        /// A question of a `Control` session.
        32 Ping(Ping) SMALL,
        /// A question of a `Control` session.
        33 Facts(Facts) SMALL,
        /// An order of a `Control` session.
        34 Shutdown(Shutdown) SMALL,
        /// An order of a `Control` session.
        35 Quiesce(Quiesce) SMALL,
        /// An order of a `Control` session.
        36 Thaw(Thaw) SMALL,
        /// An order of a `Control` session.
        37 Renew(Renew) MAX_DATA,
    }
}

frames! {
    /// A frame of the agent.
    AgentFrame, AgentKind, FromAgent {
        /// The answer to `Hello`.
        128 Welcome(Welcome) SMALL,
        /// What was asked is not done.
        129 Refused(Refusal) SMALL,
        /// The program runs.
        130 Started(Started) SMALL,
        /// Bytes of its output.
        131 Stdout(Hidden) MAX_DATA,
        /// Bytes of its errors.
        132 Stderr(Hidden) MAX_DATA,
        /// It has read some of its input.
        133 StdinCredit(StdinCredit) SMALL,
        /// Some of its output is lost.
        134 Gap(Gap) SMALL,
        /// Its end.
        135 Exit(Exit) SMALL,
        /// What is read is open.
        144 ReadStarted(ReadStarted) SMALL,
        /// Bytes of what is read.
        145 Data(Hidden) MAX_DATA,
        /// The end of it.
        146 DataEnd(agent::DataEnd) SMALL,
        /// What is written is open.
        147 WriteStarted(WriteStarted) SMALL,
        /// All is written.
        148 Written(Written) SMALL,
        /// A stream is connected.
        152 ForwardStarted(ForwardStarted) SMALL,
        /// An answer.
        160 Pong(Pong) SMALL,
        /// An answer.
        161 FactsAre(FactsAre) SMALL,
        /// An answer.
        162 ShuttingDown(ShuttingDown) SMALL,
        /// An answer.
        163 Quiesced(Quiesced) SMALL,
        /// An answer.
        164 Thawed(Thawed) SMALL,
        /// An answer.
        165 Renewed(Renewed) SMALL,
    }
}
