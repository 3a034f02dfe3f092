//! The lines of a stream, one at a time, each bounded: a recording of many gigabytes is read in the memory of one line.

use std::io::{BufRead, Read};

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    ReplayError,
    record::{Kind, Meta, Record},
};

/// Longest line of a stream in bytes.
const LINE_BYTES: u64 = 1024 * 1024;

/// Longest first line: it names every network and node.
const META_BYTES: u64 = 64 * 1024 * 1024;

/// The lines of a stream.
pub struct Lines<R> {
    input: R,
    number: usize,
    text: Vec<u8>,
    cut: bool,
}

/// What a line of an unknown kind has in common with the others.
#[derive(Deserialize)]
struct Stranger {
    k: Kind,
}

impl<R: BufRead> Lines<R> {
    /// The lines that `input` gives.
    pub fn of(input: R) -> Self {
        Self { input, number: 0, text: Vec::new(), cut: false }
    }

    /// The first line.
    pub fn meta(&mut self) -> Result<Meta, ReplayError> {
        if !self.read(META_BYTES)? {
            return Err(self.wrong("the stream is empty"));
        }
        self.parse().map_err(|error| self.wrong(&error.to_string()))
    }

    /// The next record, `None` at the end. What is of no known kind is passed over, whatever its keys hold.
    pub fn record(&mut self) -> Result<Option<Record>, ReplayError> {
        while self.read(LINE_BYTES)? {
            match self.parse::<Record>() {
                Ok(record) if record.k == Kind::Other => {}
                Ok(record) => return Ok(Some(record)),
                Err(_) if self.is_cut() => {
                    self.cut = true;
                    return Ok(None);
                }
                Err(_) if self.parse::<Stranger>().is_ok_and(|it| it.k == Kind::Other) => {}
                Err(error) => return Err(self.wrong(&error.to_string())),
            }
        }
        Ok(None)
    }

    /// The number of the last line, if it is only the beginning of one: whoever wrote it was interrupted.
    pub fn cut_at(&self) -> Option<usize> {
        self.cut.then_some(self.number)
    }

    /// That the line read last is wrong.
    pub fn wrong(&self, problem: &str) -> ReplayError {
        ReplayError::Line { line: self.number, problem: problem.to_owned() }
    }

    /// Reads the next line that is not empty; whether there is one.
    fn read(&mut self, limit: u64) -> Result<bool, ReplayError> {
        loop {
            self.text.clear();
            self.number += 1;
            let length = (&mut self.input).take(limit).read_until(b'\n', &mut self.text)?;
            if length == 0 {
                return Ok(false);
            }
            if length as u64 == limit && self.is_cut() {
                return Err(self.wrong(&format!("longer than {} MiB", limit >> 20)));
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Whether the line does not end: only the last one of a stream can.
    fn is_cut(&self) -> bool {
        self.text.last() != Some(&b'\n')
    }

    fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.text)
    }
}
