//! What must hold of a remote's replies for any input: no panic; codes 200 to 599; nothing that comes out holds a control
//! character; the buffer in front of the reader is bounded; how the input was cut doesn't matter; what is written again
//! reads back the same.

use bytes::BytesMut;
use sekisho::model::Reply;
use sekisho::smtp::reply_reader::MAX_REPLY;
use sekisho::smtp::{Capabilities, ReplyError, ReplyReader};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let [cut, octets @ ..] = data else { return };
    let got = read(octets, usize::from(*cut % 31) + 1);
    assert_eq!(got, read(octets, octets.len().max(1)), "cuts matter");
    for reply in &got.0 {
        assert!((200..600).contains(&reply.code()));
        assert!(!reply.lines().any(|line| line.contains(char::is_control)), "{reply:?}");
        let _ = Capabilities::from_ehlo(reply);
        let mut wire = BytesMut::new();
        reply.write_to(&mut wire);
        let again = ReplyReader::default().next(&mut wire);
        assert!(wire.is_empty(), "{reply:?} came to {again:?} and {wire:?}");
    }
}

fn read(octets: &[u8], cut: usize) -> (Vec<Reply>, Option<ReplyError>) {
    let mut input = BytesMut::new();
    let mut replies = Vec::new();
    for piece in octets.chunks(cut) {
        input.extend_from_slice(piece);
        loop {
            match ReplyReader::default().next(&mut input) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
        assert!(input.len() <= MAX_REPLY, "{} octets wait", input.len());
    }
    (replies, None)
}
