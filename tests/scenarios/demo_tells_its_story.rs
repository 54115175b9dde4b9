//! The README's first command: the demonstration runs on its own, says what became of each message, and ends with Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::within;

#[test]
fn every_sample_has_an_end_and_ctrl_c_ends_it() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_sekisho"))
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the demonstration");
    let mut story = String::new();
    for line in BufReader::new(demo.stdout.take().expect("its output")).lines().map_while(Result::ok) {
        story.push_str(&line);
        story.push('\n');
        if line.contains("curl http://") {
            break;
        }
    }
    let pid = Pid::from_raw(i32::try_from(demo.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).expect("Ctrl-C");
    let end = std::time::Duration::from_secs(60);
    let status = within(end, "the demonstration's end", || demo.try_wait().expect("its status"));
    assert!(status.success(), "{status}\n{story}");
    let words = [
        "acme.example",
        "550",
        "why: Refused",
        "DMARC",
        "拒否しました",
        "quarantined as phishing",
        "quarantined as malware: the mailbox doesn't get it",
        "quarantined as malware: it never leaves",
        "why: Quarantined: malicious content was found (Eicar-Test-Signature).",
        "隔離しました",
        "Ctrl-C",
    ];
    for word in words {
        assert!(story.contains(word), "no {word} in:\n{story}");
    }
    assert_eq!(story.matches("the client was told: 250").count(), 8, "{story}");
    assert_eq!(story.matches("quarantined as").count(), 3, "{story}");
    assert!(!story.contains("still in the queue"), "{story}");
}
