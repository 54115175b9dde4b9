//! Encrypted office packages ([MS-OFFCRYPTO]): recognised; opening them comes with the next file.

use std::io::Cursor;

use bytes::Bytes;
use cfb::CompoundFile;

use super::walk::Walk;
use crate::message::specimen::Lock;

pub fn open(walk: &mut Walk<'_>, at: usize, file: &mut CompoundFile<Cursor<Bytes>>) {
    let _ = file;
    walk.lock(at, Lock::Closed);
}
