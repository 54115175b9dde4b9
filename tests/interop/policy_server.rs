//! A greylisting policy server for Postfix (SMTPD_POLICY_README): every recipient is put off the first time.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::loopback;

/// Answers until the test process ends.
pub fn greylisting() -> SocketAddr {
    let listener = TcpListener::bind((loopback::fresh_ip(), 0)).expect("bind the policy server");
    let address = listener.local_addr().expect("its address");
    let seen = Arc::new(Mutex::new(HashSet::new()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || answer(stream, &seen));
        }
    });
    address
}

fn answer(mut stream: TcpStream, seen: &Mutex<HashSet<String>>) {
    let reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut recipient = String::new();
    for line in reader.lines().map_while(Result::ok) {
        if let Some(value) = line.strip_prefix("recipient=") {
            recipient = value.to_owned();
        }
        if line.is_empty() {
            let first = seen.lock().unwrap().insert(recipient.clone());
            let action = if first { "450 4.7.1 greylisted, come again" } else { "DUNNO" };
            if write!(stream, "action={action}\n\n").is_err() {
                return;
            }
        }
    }
}
