//! QR codes in images: the address that a camera would open.
//!
//! **Failure**: an image that can't be read has no codes, nor has one beyond the bounds: photographs are large and many, and nobody's
//! mail is held for them. One that says it is larger than any photograph is told. A fault in the reader is contained.
//! **Invariants**: at most [`MAX_SIDE`] pixels a side and [`MAX_MEMORY`] octets while decoding.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{GrayImage, ImageReader, Limits as ImageLimits};

use super::add;
use crate::message::specimen::{Link, LinkSource, Part, PartKind, TimeUp};
use crate::model::finding::{Reason, Unchecked};

/// Pixels of one side.
const MAX_SIDE: u32 = 8_192;
/// Pixels that are searched; bigger images are made smaller.
const MAX_PIXELS: u32 = 1_500_000;
const MAX_MEMORY: u64 = 40 << 20;
/// Pixels that no camera has, nor anything that mail programs show.
const MAX_PHOTOGRAPH: u64 = 256_000_000;
/// The smallest code has 21 modules.
const MIN_SIDE: u32 = 21;
/// Codes of one image.
const MAX_CODES: usize = 8;
/// Pixels of all images of a message that are searched: a dozen photographs, or hundreds of small pictures.
pub const PIXELS: u64 = 120_000_000;
/// So many pairs of corners cost as much as the image itself.
const PAIRS: u64 = 100;
/// What the smallest image costs.
const LEAST_PIXELS: u64 = 1_000_000;

/// The texts of the codes in a PNG, JPEG, GIF, WebP or BMP. `left`: pixels that may still be searched, of [`PIXELS`].
#[must_use]
pub fn in_image(octets: &[u8], left: &mut u64) -> Vec<Box<str>> {
    if octets.len() < 64 {
        return Vec::new();
    }
    catch_unwind(AssertUnwindSafe(|| codes(octets, left).unwrap_or_default())).unwrap_or_default()
}

/// Whether it says that it has more pixels than anybody looks at, for codes or for pleasure.
#[must_use]
pub fn is_beyond_photographs(octets: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| size(octets)))
        .ok()
        .flatten()
        .is_some_and(|(width, height)| u64::from(width) * u64::from(height) > MAX_PHOTOGRAPH)
}

fn size(octets: &[u8]) -> Option<(u32, u32)> {
    ImageReader::new(Cursor::new(octets)).with_guessed_format().ok()?.into_dimensions().ok()
}

/// Links in the codes of all images among the parts; and what was not searched, if anything, with the part's path.
#[must_use]
pub fn in_images(parts: &[Part], limit: usize, time_up: TimeUp) -> (Vec<Link>, Vec<Unchecked>) {
    let mut links = Vec::new();
    let mut unchecked: Vec<Unchecked> = Vec::new();
    let mut leave = |reason, part: &Part| {
        if !unchecked.iter().any(|known| known.reason == reason) {
            unchecked.push(Unchecked { reason, what: part.path.clone() });
        }
    };
    let images = parts.iter().enumerate().filter(|(_, part)| part.kind == PartKind::File && is_image(&part.octets));
    let mut left = PIXELS;
    for (index, part) in images {
        if time_up() {
            leave(Reason::Time, part);
            break;
        }
        if is_beyond_photographs(&part.octets) {
            leave(Reason::Bytes, part);
        }
        for text in in_image(&part.octets, &mut left) {
            if let Some(link) = super::link(index, LinkSource::Qr, &text, None) {
                add(&mut links, link, limit);
            }
        }
    }
    (links, unchecked)
}

fn is_image(octets: &[u8]) -> bool {
    let starts: [&[u8]; 5] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM"];
    starts.iter().any(|start| octets.starts_with(start))
}

fn codes(octets: &[u8], left: &mut u64) -> Option<Vec<Box<str>>> {
    let (width, height) = size(octets)?;
    if width.min(height) < MIN_SIDE || width.max(height) > MAX_SIDE {
        return None;
    }
    let cost = (u64::from(width) * u64::from(height)).max(LEAST_PIXELS);
    *left = left.checked_sub(cost)?;
    let mut reader = ImageReader::new(Cursor::new(octets)).with_guessed_format().ok()?;
    let mut limits = ImageLimits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let image = reader.decode().ok()?;
    let image = if width.saturating_mul(height) > MAX_PIXELS {
        let side = width.max(height) * 1_200 / width.max(height);
        image.thumbnail(side, side)
    } else {
        image
    };
    // Transparent codes stand on white.
    let rgba = image.to_luma_alpha8();
    let mut gray = GrayImage::new(rgba.width(), rgba.height());
    for (to, from) in gray.pixels_mut().zip(rgba.pixels()) {
        let [luma, alpha] = from.0;
        let mixed = u32::from(luma) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
        to.0 = [u8::try_from(mixed / 255).unwrap_or(255)];
    }
    let found = search(&gray, left)?;
    if !found.is_empty() {
        return Some(found);
    }
    // White on black.
    image::imageops::invert(&mut gray);
    search(&gray, left)
}

/// `None`: it would cost more than is left. The crate tries each pair of corners on a copy of the image: a small picture full of them
/// would keep it busy for a minute.
fn search(gray: &GrayImage, left: &mut u64) -> Option<Vec<Box<str>>> {
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(gray.width() as usize, gray.height() as usize, |x, y| {
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            gray.get_pixel_checked(place(x), place(y)).map_or(255, |pixel| pixel.0.first().copied().unwrap_or(255))
        });
    let corners = corners(prepared.width(), prepared.height(), |x, y| prepared.get_pixel_at(x, y).into());
    let pixels = u64::from(gray.width()) * u64::from(gray.height());
    *left = left.checked_sub(corners.saturating_mul(corners).saturating_mul(pixels) / PAIRS)?;
    let grids = prepared.detect_grids();
    let texts = grids.iter().take(MAX_CODES).filter_map(|grid| grid.decode().ok());
    Some(texts.map(|(_, text)| text.into_boxed_str()).collect())
}

/// How many corners of codes there may be: at least as many as the crate will see. Rows are looked at as it does: runs of black and
/// white as 1:1:3:1:1. What stands below such a place belongs to it.
fn corners(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> u64 {
    let (mut count, mut above) = (0, Vec::new());
    for y in 0..height {
        let mut here: Vec<usize> = Vec::new();
        let (mut runs, mut length, mut before) = ([0_usize; 5], 0_usize, 0_u8);
        for x in 0..=width {
            // A white one behind the last.
            let now = if x < width { pixel(x, y) } else { 0 };
            if (now != 0) == (before != 0) {
                length += 1;
                continue;
            }
            runs.rotate_left(1);
            if let Some(last) = runs.last_mut() {
                *last = length;
            }
            if before != 0 && is_corner(runs) {
                here.push(x);
            }
            (length, before) = (1, now);
        }
        let is_new = |x: &&usize| !above.iter().any(|other: &usize| other.abs_diff(**x) <= 1);
        count += here.iter().filter(is_new).count() as u64;
        above = here;
    }
    count
}

fn is_corner(runs: [usize; 5]) -> bool {
    let [first, second, middle, fourth, last] = runs;
    let one = (first + second + fourth + last) / 4;
    let near = |run: usize, parts: usize| run.abs_diff(one * parts) <= one * 3 / 4 + 1;
    first > 0 && near(first, 1) && near(second, 1) && near(middle, 3) && near(fourth, 1) && near(last, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(side: u32) -> Vec<u8> {
        let mut octets = Cursor::new(Vec::new());
        GrayImage::new(side, side).write_to(&mut octets, image::ImageFormat::Png).unwrap();
        octets.into_inner()
    }

    #[test]
    fn a_picture_full_of_corners_is_not_searched() {
        let corner = |x: u32, y: u32| {
            let (x, y) = (x / 2 % 9, y / 2 % 9);
            let within = |from: u32, to: u32| (from..to).contains(&x) && (from..to).contains(&y);
            if within(3, 6) || within(1, 8) && !within(2, 7) { 0 } else { 255 }
        };
        let gray = GrayImage::from_fn(500, 500, |x, y| image::Luma([corner(x, y)]));
        assert_eq!(search(&gray, &mut PIXELS.clone()), None);
        let few = GrayImage::from_fn(90, 54, |x, y| image::Luma([corner(x, y)]));
        assert_eq!(search(&few, &mut PIXELS.clone()), Some(Vec::new()));
    }

    #[test]
    fn pixels_are_paid_for() {
        let mut left = PIXELS;
        assert!(in_image(&picture(10), &mut left).is_empty());
        assert_eq!(left, PIXELS, "too small for a code");
        assert!(in_image(&picture(100), &mut left).is_empty());
        assert_eq!(left, PIXELS - LEAST_PIXELS);
        let mut one = 1;
        assert!(in_image(&picture(100), &mut one).is_empty());
        assert_eq!(one, 1);
        assert!(!is_beyond_photographs(&picture(MAX_SIDE + 1)) && !is_beyond_photographs(&[7; 100]));
        let gif = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;";
        assert!(is_beyond_photographs(gif));
        assert!(in_image(&picture(MAX_SIDE + 1), &mut left).is_empty() && in_image(&[7; 100], &mut left).is_empty());
        assert_eq!(left, PIXELS - LEAST_PIXELS);
    }
}
