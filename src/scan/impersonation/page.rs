//! What the markup of the texts is up to.

use super::{Found, Scene};
use crate::scan::symbols as s;

/// Characters of hidden text that are worth a word. Previews of newsletters are shorter.
const MANY: usize = 600;
/// Words with something between their letters.
const SPLIT: u16 = 3;

pub fn look(scene: &Scene<'_>, found: &mut Found) {
    let mut split = 0u16;
    for text in &scene.specimen.texts {
        let signs = &text.signs;
        let start = text.visible.get(..text.visible.floor_char_boundary(80)).unwrap_or_default();
        if signs.password_field {
            found.add(&s::PASSWORD_IN_MAIL, start);
        } else if signs.forms > 0 {
            found.add(&s::FORM_IN_MAIL, start);
        }
        if signs.smuggling {
            found.add(&s::PAGE_MAKES_FILE, start);
        }
        if signs.refresh {
            found.add(&s::PAGE_GOES_ELSEWHERE, start);
        }
        split = split.saturating_add(signs.split_words);
        let (shown, hidden) = (text.visible.chars().count(), text.hidden.chars().count());
        if hidden >= MANY && hidden > shown {
            let start = text.hidden.get(..text.hidden.floor_char_boundary(80)).unwrap_or_default();
            found.add(&s::TEXT_HIDDEN, start);
        }
    }
    if split >= SPLIT {
        found.add(&s::WORDS_SPLIT, &split.to_string());
    }
}
