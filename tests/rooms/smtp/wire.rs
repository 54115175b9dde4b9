//! The client of a golden talk over a real socket: octets as written, every reply line compared as it comes in.

use std::time::Duration;

use super::transcript::{Exchange, Then, Transcript, matches_line};
use crate::support::Client;
use crate::support::tls::client_config;

/// How long each read may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What the other end of the wire has to do with an exchange.
pub trait Aside {
    /// Before the client speaks.
    fn before(&mut self, _exchange: &Exchange) {}
    /// After the last reply line.
    fn after(&mut self, _exchange: &Exchange) -> Result<(), String> {
        Ok(())
    }
}

/// The whole talk, in writes of at most `cut` octets. One that doesn't end by itself ends with QUIT, so that a line too
/// many or a connection closed too early is seen.
pub fn speak(transcript: &Transcript, client: &mut Client, cut: usize, aside: &mut impl Aside) -> Result<(), String> {
    client.set_read_timeout(PATIENCE);
    if transcript.has("tls") {
        client.handshake(&client_config(None));
    }
    let quit = Exchange {
        client: b"QUIT\r\n".to_vec(),
        server: vec!["221 2.0.0 bye".to_owned()],
        then: Then::Closed,
        ..Exchange::default()
    };
    let ends = transcript.exchanges.last().is_some_and(|last| last.then == Then::Closed);
    for exchange in transcript.exchanges.iter().chain((!ends).then_some(&quit)) {
        aside.before(exchange);
        let done = exchange_with(client, exchange, cut).and_then(|()| aside.after(exchange));
        done.map_err(|what| format!("{}:{}: {what}", transcript.name, exchange.line))?;
    }
    Ok(())
}

fn exchange_with(client: &mut Client, exchange: &Exchange, cut: usize) -> Result<(), String> {
    for piece in exchange.client.chunks(cut) {
        match client.try_send(piece) {
            // Closed in the middle of what we say, as it should be: what was said before is still there to be read.
            Err(_) if exchange.then == Then::Closed => break,
            sent => sent.map_err(|error| format!("sending failed: {error}"))?,
        }
    }
    for wanted in &exchange.server {
        let line = client.try_line().map_err(|error| format!("no line, wanted {wanted:?}: {error}"))?;
        let line = line.ok_or_else(|| format!("closed, wanted {wanted:?}"))?;
        let line = String::from_utf8_lossy(&line);
        if !matches_line(&line, wanted) {
            return Err(format!("wanted {wanted:?}, got {line:?}"));
        }
    }
    match exchange.then {
        Then::Read => Ok(()),
        Then::Tls if client.unread().is_empty() => {
            client.handshake(&client_config(None));
            Ok(())
        }
        Then::Tls => Err(format!("said in the clear before TLS: {:?}", String::from_utf8_lossy(client.unread()))),
        Then::Closed => match client.try_line() {
            Ok(None) if client.unread().is_empty() => Ok(()),
            Ok(None) => Err(format!("half a line before the close: {:?}", String::from_utf8_lossy(client.unread()))),
            Ok(Some(line)) => Err(format!("a line instead of the close: {:?}", String::from_utf8_lossy(&line))),
            Err(error) => Err(format!("not closed: {error}")),
        },
    }
}
