//! SPF, DKIM, ARC and DMARC of one message.

pub mod budget;
pub mod spf;
