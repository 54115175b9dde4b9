//! The why-book.
