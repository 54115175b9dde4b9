//! What must hold of any file of a published set: manifest, pack head, model, layer and keys are read without a panic, nothing is
//! allocated by a claimed number, and nothing unsigned is taken for signed.
//!
//! The first octet chooses what it is.

use bytes::Bytes;
use sekisho::signatures::manifest::Manifest;
use sekisho::signatures::model::tokens::Tokens;
use sekisho::signatures::model::{Layer, Model};
use sekisho::signatures::pack::{FeedKind, Pack, PackFile};
use sekisho::signatures::{PublicKey, SignatureSet, Trust};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let [choice, octets @ ..] = data else { return };
    let text = String::from_utf8_lossy(octets);
    match choice % 5 {
        0 => {
            if let Ok(manifest) = Manifest::read(octets) {
                let again = Manifest::read(&manifest.octets()).expect("what we write is read");
                assert_eq!(again, manifest);
                let _ = manifest.covers(&[]);
            }
        }
        1 => {
            let file =
                |path: &str, octets: &[u8]| PackFile { path: path.into(), octets: Bytes::copy_from_slice(octets) };
            let files = vec![file("pack.toml", octets), file("a", b"a.example\nb.example\n")];
            if let Ok(pack) = Pack::from_files("fuzz", files) {
                assert!(pack.feeds.iter().all(|feed| matches!(&*feed.file, "a" | "pack.toml")
                    && feed.kind as usize <= FeedKind::Literals as usize));
                let _ = SignatureSet::compile(1, &[pack]);
            }
        }
        2 => {
            if let Ok(model) = Model::from_bytes(octets) {
                let tokens = Tokens::of_text("free offer", "a letter about nothing that is not worth reading");
                let opinion = model.judge(&tokens, Layer::from_bytes(octets).ok().as_ref());
                assert!(opinion.points().is_finite() && (0.0..=1.0).contains(&opinion.probability()), "{opinion:?}");
                assert!(Model::from_bytes(&model.to_bytes()).is_ok(), "what we write is read");
            }
        }
        3 => {
            if let Ok(layer) = Layer::from_bytes(octets) {
                assert!(Layer::from_bytes(&layer.to_bytes()).is_ok(), "what we write is read");
            }
        }
        _ => {
            let key: Result<PublicKey, _> = text.trim().parse();
            let trust = Trust::any_of(key.into_iter().collect());
            assert!(!trust.is_signed(b"a manifest", &text), "nobody signed it");
        }
    }
}
