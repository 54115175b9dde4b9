//! The rows of a CSV file (RFC 4180) as entries, one by one.
//!
//! **Failure**: a bad row is one row's error; a file without header, or one that can't be read on, ends with [`FileError`].
//! **Invariants**: memory is bounded by the longest row.

use std::io::Read;

use super::entry::NewEntry;
use super::table::{Defaults, Header, Owners, RowError};
use super::text::{Decoding, Encoding, RowLength};

/// Why a file can't be read, or not on.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("the file is empty: its first line names the columns")]
    Empty,
    #[error("line 1: {0}")]
    Header(RowError),
    #[error("behind line {line}: {source}")]
    Read { line: u64, source: csv::Error },
}

/// One row.
#[derive(Debug)]
pub struct ReadRow {
    /// Where it begins, from 1.
    pub line: u64,
    /// `true` beside the entry: characters were made narrow or blanks cut off.
    pub entry: Result<(NewEntry, bool), RowError>,
}

/// The rows behind the header.
#[derive(Debug)]
pub struct Rows<R> {
    csv: csv::Reader<Decoding<R>>,
    length: RowLength,
    header: Header,
    record: csv::StringRecord,
}

impl<R: Read> Rows<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(from: R, encoding: Encoding) -> Result<Self, FileError> {
        let decoding = Decoding::new(from, encoding);
        let length = decoding.row_length();
        let mut csv = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(decoding);
        let mut record = csv::StringRecord::new();
        if !csv.read_record(&mut record).map_err(|source| FileError::Read { line: 0, source })? {
            return Err(FileError::Empty);
        }
        length.row_ended();
        let header = Header::read(record.iter()).map_err(FileError::Header)?;
        Ok(Self { csv, length, header, record })
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`FileError::Read`].
    pub fn row(&mut self, defaults: &Defaults, owners: &dyn Owners) -> Result<Option<ReadRow>, FileError> {
        let line = self.csv.position().line();
        if !self.csv.read_record(&mut self.record).map_err(|source| FileError::Read { line, source })? {
            return Ok(None);
        }
        self.length.row_ended();
        let fields: Vec<&str> = self.record.iter().collect();
        // The reader's own count stands before blank lines: it is counted back from the row's end.
        let inside = memchr::memchr_iter(b'\n', self.record.as_slice().as_bytes()).count();
        let behind = self.csv.position().line().saturating_sub(1).saturating_sub(inside as u64);
        let line = behind.max(self.record.position().map_or(0, csv::Position::line));
        Ok(Some(ReadRow { line, entry: self.header.row(&fields, defaults, owners) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Domain, TenantId, Timestamp};

    struct Nobody;

    impl Owners for Nobody {
        fn owner(&self, _: &Domain) -> Option<TenantId> {
            None
        }

        fn exists(&self, _: &TenantId) -> bool {
            false
        }
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let file = "action,value,scope,reason\nblock,a.example,operator,\n\n\nblock,b.example,operator,\"two\nlines\"\nblock,c.example,operator,";
        let defaults = Defaults { place: None, owner: "ops".into(), now: Timestamp::from_millis(0) };
        for end in ["\n", "\r\n", "\r"] {
            for last in ["", end] {
                let file = file.replace('\n', end) + last;
                let mut rows = Rows::open(file.as_bytes(), Encoding::Utf8).unwrap();
                let mut lines = Vec::new();
                while let Some(row) = rows.row(&defaults, &Nobody).unwrap() {
                    lines.push((row.line, row.entry.is_ok()));
                }
                assert_eq!(lines, [(2, true), (5, false), (7, true)], "{file:?}");
            }
        }
    }
}
