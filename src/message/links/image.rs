//! QR codes in images: the address that a camera would open.
//!
//! **Failure**: an image that can't be read has no codes, nor has one beyond the bounds: photographs are large and many, and nobody's
//! mail is held for them. A fault in the reader is contained.
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
const MAX_MEMORY: u64 = 80 << 20;
/// The smallest code has 21 modules.
const MIN_SIDE: u32 = 21;
/// Codes of one image.
const MAX_CODES: usize = 8;
/// Pixels of all images of a message that are searched: a dozen photographs, or hundreds of small pictures.
pub const PIXELS: u64 = 120_000_000;
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
    let (width, height) = ImageReader::new(Cursor::new(octets)).with_guessed_format().ok()?.into_dimensions().ok()?;
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
    let found = search(&gray);
    if !found.is_empty() {
        return Some(found);
    }
    // White on black.
    image::imageops::invert(&mut gray);
    Some(search(&gray))
}

fn search(gray: &GrayImage) -> Vec<Box<str>> {
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(gray.width() as usize, gray.height() as usize, |x, y| {
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            gray.get_pixel_checked(place(x), place(y)).map_or(255, |pixel| pixel.0.first().copied().unwrap_or(255))
        });
    let grids = prepared.detect_grids();
    grids.iter().take(MAX_CODES).filter_map(|grid| grid.decode().ok()).map(|(_, text)| text.into_boxed_str()).collect()
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
    fn pixels_are_paid_for() {
        let mut left = PIXELS;
        assert!(in_image(&picture(10), &mut left).is_empty());
        assert_eq!(left, PIXELS, "too small for a code");
        assert!(in_image(&picture(100), &mut left).is_empty());
        assert_eq!(left, PIXELS - LEAST_PIXELS);
        let mut one = 1;
        assert!(in_image(&picture(100), &mut one).is_empty());
        assert_eq!(one, 1);
        assert!(in_image(&picture(MAX_SIDE + 1), &mut left).is_empty() && in_image(&[7; 100], &mut left).is_empty());
        assert_eq!(left, PIXELS - LEAST_PIXELS);
    }
}
