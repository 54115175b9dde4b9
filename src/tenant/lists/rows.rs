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
        let line = self.record.position().map_or(0, csv::Position::line);
        let fields: Vec<&str> = self.record.iter().collect();
        Ok(Some(ReadRow { line, entry: self.header.row(&fields, defaults, owners) }))
    }
}
