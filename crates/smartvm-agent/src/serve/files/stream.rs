//! The bytes of files in frames.

use std::io::{self, Read, Write};

use smartvm_protocol::agent::DataEnd;
use smartvm_protocol::{AgentFrame, AgentKind, Hidden, HostFrame, MAX_DATA};

use crate::serve::connection::{Connection, Gone};

/// What the host sends, until it says that it was all.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    connection: &'a mut Connection,
    chunk: Hidden,
    taken: usize,
    bytes: u64,
    is_whole: bool,
}

/// What is sent to the host.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    connection: &'a mut Connection,
    bytes: u64,
}

impl<'a> Incoming<'a> {
    pub(crate) fn new(connection: &'a mut Connection) -> Self {
        Self { connection, chunk: Hidden::default(), taken: 0, bytes: 0, is_whole: false }
    }

    /// Reads on to the end, and gives how many bytes there were.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.bytes)
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.chunk.len() {
            if self.is_whole {
                return Ok(0);
            }
            match self.connection.frame(None).map_err(gone)? {
                HostFrame::Data(chunk) => {
                    self.bytes += chunk.len() as u64;
                    (self.chunk, self.taken) = (chunk, 0);
                }
                HostFrame::DataEnd(end) if end.bytes == self.bytes => self.is_whole = true,
                // The order of frames lets no other come here.
                _ => return Err(gone(Gone)),
            }
        }
        let length = buffer.len().min(self.chunk.len() - self.taken);
        buffer[..length].copy_from_slice(&self.chunk[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(connection: &'a mut Connection) -> Self {
        Self { connection, bytes: 0 }
    }

    /// Says that it was all.
    pub(crate) fn finish(self) -> io::Result<()> {
        let end = AgentFrame::DataEnd(DataEnd { bytes: self.bytes });
        self.connection.send(&end).map_err(gone)
    }
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let some = &bytes[..bytes.len().min(MAX_DATA as usize)];
        let fill = |buffer: &mut [u8]| {
            buffer[..some.len()].copy_from_slice(some);
            Ok(some.len())
        };
        self.connection.queue_data(AgentKind::Data, fill)?;
        self.connection.finish(None).map_err(gone)?;
        self.bytes += some.len() as u64;
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gone(_: Gone) -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
