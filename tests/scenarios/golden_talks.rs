//! The golden talks of `tests/transcripts/` with the real gateway: those that need no embedder of their own, and no more
//! than what the settings give. The stars in the talks stand for what differs by nature, such as the id in `accepted as`.

use std::collections::BTreeMap;

use self::transcript::Transcript;
use self::wire::{Aside, speak};
use crate::support::gateway::GatewayBuilder;
use crate::support::{Client, FakeMx, Gateway};

#[path = "../rooms/smtp/transcript.rs"]
mod transcript;
#[path = "../rooms/smtp/wire.rs"]
mod wire;

/// The gateway needs nothing from us.
struct Alone;

impl Aside for Alone {}

/// The gateway with these options of a talk, if its settings have them.
fn with_options(options: &[(String, Option<String>)], gateway: GatewayBuilder) -> Option<GatewayBuilder> {
    options.iter().try_fold(gateway, |gateway, (key, value)| {
        let set = |key: &str| format!("{key} = {}", value.as_deref().unwrap_or_default());
        Some(match key.as_str() {
            // says how the client sends
            "whole" => gateway,
            "starttls" => gateway.with_tls(),
            "errors" => gateway.set("smtp", &set("errors")),
            "transactions" => gateway.set("smtp", &set("transactions")),
            _ => return None,
        })
    })
}

#[test]
fn the_real_gateway_says_what_is_written() {
    let mut groups: BTreeMap<_, Vec<Transcript>> = BTreeMap::new();
    for transcript in Transcript::load_all().into_iter().filter(|transcript| !transcript.is_scripted()) {
        let options = transcript.options.iter().filter(|(key, _)| key != "whole").cloned().collect::<Vec<_>>();
        groups.entry(options).or_default().push(transcript);
    }
    let (mut ran, mut wrong) = (Vec::new(), Vec::new());
    for (options, transcripts) in groups {
        let mx = FakeMx::start();
        // Whom `<postmaster>` means: at the gateway's own name, the default, nobody has a mailbox here.
        let builder = Gateway::builder().acme(mx.address()).set("", "postmaster = \"postmaster@acme.example\"");
        let Some(builder) = with_options(&options, builder) else { continue };
        let gateway = builder.start();
        for transcript in transcripts {
            let mut client = Client::connect(gateway.inbound);
            wrong.extend(speak(&transcript, &mut client, usize::MAX, &mut Alone).err());
            ran.push(transcript.name);
        }
        gateway.assert_settled();
    }
    println!("{} golden talks with the real gateway: {}", ran.len(), ran.join(", "));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran.len() >= 12, "too few golden talks: {ran:?}");
}
