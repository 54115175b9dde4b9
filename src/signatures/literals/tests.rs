//! Every literal is found where it stands, whatever stands around it, and nothing else is.

use proptest::prelude::*;

use super::*;

/// Every occurrence, by looking everywhere.
fn slowly(literals: &[(Vec<u8>, Case)], text: &[u8]) -> Vec<(u32, usize)> {
    let mut found = Vec::new();
    for (id, (literal, case)) in (0..).zip(literals) {
        for (at, here) in text.windows(literal.len().max(1)).enumerate() {
            let same = if *case == Case::Ascii { here.eq_ignore_ascii_case(literal) } else { here == literal };
            if same {
                found.push((id, at));
            }
        }
    }
    found.sort_unstable();
    found
}

fn quickly(literals: &[(Vec<u8>, Case)], text: &[u8]) -> Vec<(u32, usize)> {
    let borrowed: Vec<_> = literals.iter().map(|(literal, case)| (&literal[..], *case)).collect();
    let mut found = Vec::new();
    Literals::build(&borrowed).find(text, &mut |id, at| found.push((id, at)));
    found.sort_unstable();
    found
}

#[test]
fn occurrences_across_chunks_are_found_once() {
    let literals = [(b"needle in a Haystack".to_vec(), Case::Ascii), (b"EXACTLY THIS".to_vec(), Case::Exact)];
    for at in [0, 1, 16_370, 16_371, 16_376, 16_377, 16_384, 16_385, 32_760, 65_000] {
        let mut text = vec![b'.'; 70_000];
        text[at..at + 20].copy_from_slice(b"NEEDLE IN A HAYSTACK");
        text[at + 40..at + 52].copy_from_slice(b"exactly this");
        assert_eq!(quickly(&literals, &text), [(0, at)]);
        text[at + 40..at + 52].copy_from_slice(b"EXACTLY THIS");
        assert_eq!(quickly(&literals, &text), [(0, at), (1, at + 40)]);
    }
}

#[test]
fn alike_literals_are_all_told() {
    let literals: Vec<_> =
        (0..3_000).map(|n| (format!("https://same.example/{n:05}").into_bytes(), Case::Exact)).collect();
    let text = b"see https://same.example/02999 and https://same.example/00000";
    assert_eq!(quickly(&literals, text), [(0, 35), (2_999, 4)]);
    let twice = [(b"the same words".to_vec(), Case::Exact), (b"the same words".to_vec(), Case::Ascii)];
    assert_eq!(quickly(&twice, b"the same words"), [(0, 0), (1, 0)]);
}

#[test]
fn thousands_of_short_ones_are_told_as_well() {
    let short: Vec<_> = (0..FEW + 500).map(|n| (format!("x{n:05}").into_bytes(), Case::Exact)).collect();
    assert_eq!(quickly(&short, b"x00000 x04400,x04499"), [(0, 0), (4_400, 7), (4_499, 14)]);
    assert_eq!(quickly(&short[..FEW], b"x00000 x04400,x03999"), [(0, 0), (3_999, 14)]);
}

proptest! {
    #[test]
    fn as_if_looked_for_one_by_one(
        literals in prop::collection::vec((prop::collection::vec(prop::sample::select(b"abAB".to_vec()), 1..12), 0_usize..2), 1..30),
        text in prop::collection::vec(prop::sample::select(b"abAB".to_vec()), 0..300),
    ) {
        let cases = [Case::Exact, Case::Ascii];
        let literals: Vec<_> = literals.into_iter().map(|(literal, case)| (literal, cases[case])).collect();
        prop_assert_eq!(quickly(&literals, &text), slowly(&literals, &text));
    }
}
