//! To be written: smtp.
