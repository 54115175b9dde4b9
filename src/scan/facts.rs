//! What rules may ask about a message besides its octets.

use super::scanner::Request;
use crate::model::Direction;
use crate::model::authentication::{Authentication, DkimResult, DmarcResult, SpfIdentity, SpfResult};
use crate::signatures::rules::Facts;

pub(super) fn of(request: &Request) -> Facts {
    let found = request.authentication.as_ref();
    let spf_fail = found.is_some_and(|found| {
        let fails = |result| matches!(result, SpfResult::Fail | SpfResult::SoftFail);
        found.spf.iter().any(|spf| spf.identity == SpfIdentity::MailFrom && fails(spf.result))
    });
    Facts {
        authenticated: is_authenticated(request),
        spf_fail,
        dkim_pass: found.is_some_and(|found| found.dkim.iter().any(|dkim| dkim.result == DkimResult::Pass)),
        dmarc_fail: found.is_some_and(|found| found.dmarc.result == DmarcResult::Fail),
        first_contact: request.first_contact,
        outbound: request.direction == Direction::Outbound,
        recipients: u32::try_from(request.recipients.len()).unwrap_or(u32::MAX),
    }
}

/// `None`: nobody asked, or whoever could say is not here.
pub(super) fn is_known_authenticated(request: &Request) -> Option<bool> {
    let proven = request.authentication.is_some().then(|| is_authenticated(request));
    proven.filter(|proven| *proven || !request.is_relayed)
}

/// Whether the author is who the header says: DMARC passes, or SPF or DKIM is aligned with the author's domain.
pub(super) fn is_authenticated(request: &Request) -> bool {
    request.authentication.as_ref().is_some_and(Authentication::proves_author)
}
