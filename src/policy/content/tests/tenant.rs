//! What a tenant may ask for.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    // other fates
    ("reject spam", "spam=5 act:spam=reject", "reject 550 5.7.1; spam"),
    ("discard spam", "spam=5 act:spam=discard", "discard; spam"),
    ("deliver spam", "spam=5 act:spam=deliver", "deliver; spam"),
    ("tag spam", "spam=5 act:spam=tag", "deliver tag=[SPAM]; spam"),
    ("tag and stamp spam", "spam=5 act:spam=tag+stamp", "deliver tag=[SPAM] stamp=spam; spam"),
    ("an own tag", "spam=5 act:spam=tag tag:spam=***", "deliver tag=***; spam"),
    ("quarantine suspected", "spam=3 act:suspected=quarantine", "quarantine as suspected; suspected"),
    ("deliver suspected", "spam=3 act:suspected=deliver", "deliver; suspected"),
    ("reject bulk", "bulk=4 act:bulk=reject", "reject 550 5.7.1; bulk"),
    ("deliver bulk", "bulk=4 act:bulk=deliver", "deliver; bulk"),
    (
        "quarantine impersonation",
        "impersonation=4 act:impersonation=quarantine",
        "quarantine as impersonation; impersonation suspected",
    ),
    ("reject phishing", "phishing=5 act:phishing=reject", "reject 550 5.7.1; phishing spam"),
    ("phishing delivered is still spam", "phishing=5 act:phishing=stamp", "quarantine as spam; phishing spam"),
    ("reject malware", "malware act:malware=reject", "reject 550 5.7.1; malware"),
    ("discard malware", "malware act:malware=discard", "discard; malware"),
    ("malware can't be delivered", "malware act:malware=deliver", "quarantine as malware; malware"),
    ("nor tagged", "malware act:malware=tag", "quarantine as malware; malware"),
    ("nor stripped", "malware act:malware=strip", "quarantine as malware; malware"),
    ("nor sent to the archive", "malware act:malware=bcc", "quarantine as malware; malware"),
    ("but told of", "malware act:malware=deliver+notify", "quarantine as malware notify; malware"),
    ("reject risky files", "risky act:risky-file=reject", "reject 550 5.7.1; risky-file"),
    ("deliver risky files with a stamp", "risky act:risky-file=stamp", "deliver stamp=risky-file; risky-file"),
    ("reject ambiguous mail", "ambiguous act:ambiguous=reject", "reject 550 5.6.0; ambiguous"),
    ("deliver ambiguous mail", "ambiguous act:ambiguous=stamp", "deliver stamp=ambiguous; ambiguous"),
    ("reject what could not be inspected", "unscannable act:unscannable=reject", "reject 550 5.6.0; unscannable"),
    ("deliver what could not be inspected", "unscannable act:unscannable=tag", "deliver tag=[UNCHECKED]; unscannable"),
    ("quarantine passwords", "encrypted act:encrypted=quarantine", "quarantine as encrypted; encrypted"),
    ("reject passwords", "encrypted act:encrypted=reject", "reject 550 5.7.1; encrypted"),
    ("deliver passwords", "encrypted act:encrypted=deliver", "deliver; encrypted"),
    // strip
    ("strip a risky file", "risky@2 act:risky-file=strip", "deliver strip=2; risky-file"),
    ("strip two", "risky@3 risky@2 risky@3 act:risky-file=strip", "deliver strip=2,3; risky-file"),
    ("not known where: all files", "risky@2 risky act:risky-file=strip", "deliver strip=all; risky-file"),
    ("strip with a stamp", "risky@2 act:risky-file=strip+stamp", "deliver stamp=risky-file strip=2; risky-file"),
    (
        "only the files of the category",
        "risky@2 encrypted@3 act:risky-file=strip",
        "deliver stamp=encrypted strip=2; risky-file encrypted",
    ),
    (
        "of both",
        "risky@2 encrypted@3 act:risky-file=strip act:encrypted=strip",
        "deliver strip=2,3; risky-file encrypted",
    ),
    ("strip what is encrypted", "unchecked=encrypted:2/a.zip act:encrypted=strip", "deliver strip=2; encrypted"),
    (
        "strip what is encrypted within",
        "unchecked=encrypted:1.2/a.zip/b.zip act:encrypted=strip",
        "deliver strip=1.2; encrypted",
    ),
    (
        "strip what could not be inspected",
        "unchecked=ratio:2/a.zip act:unscannable=strip",
        "deliver strip=2; unscannable",
    ),
    (
        "a text that was not looked at is no file",
        "unchecked=time:1 act:unscannable=strip",
        "quarantine as unscannable; unscannable",
    ),
    (
        "a text and a file that were not looked at",
        "unchecked=time:1 unchecked=ratio:2/a.zip act:unscannable=strip",
        "quarantine as unscannable; unscannable",
    ),
    (
        "the message that was not looked at",
        "unchecked=depth:header act:unscannable=strip+notify",
        "quarantine as unscannable notify; unscannable",
    ),
    (
        "a stripped file does not hide spam",
        "risky@2 spam=5 act:risky-file=strip",
        "quarantine as spam; risky-file spam",
    ),
    ("nor a virus", "risky@2 malware@2 act:risky-file=strip", "quarantine as malware; malware risky-file"),
    // copies
    ("a copy of what is delivered", "spam=3 act:suspected=tag+bcc", "deliver tag=[SPAM?] bcc; suspected"),
    ("no copy of what is kept back", "spam=5 bulk=4 act:bulk=bcc", "quarantine as spam; spam bulk"),
    ("a notice", "spam=5 act:spam=quarantine+notify", "quarantine as spam notify; spam"),
    ("a notice of a refusal", "spam=5 act:spam=reject+notify", "reject 550 5.7.1 notify; spam"),
    ("a notice of what is thrown away", "spam=5 act:spam=discard+notify", "discard notify; spam"),
    ("a notice with delivery", "encrypted act:encrypted=notify", "deliver notify; encrypted"),
    (
        "a notice of what did not decide",
        "malware encrypted act:encrypted=stamp+notify",
        "quarantine as malware notify; malware encrypted",
    ),
    ("no notice for what is skipped", "allowed spam=5 act:spam=quarantine+notify", "deliver; clean"),
    // fields
    ("no fields", "headers-off", "deliver no-fields; clean"),
    ("no fields, tagged", "headers-off spam=3", "deliver tag=[SPAM?] no-fields; suspected"),
    ("fields for one category", "headers-off spam=3 act:suspected=headers", "deliver; suspected"),
    ("fields for another category", "headers-off spam=3 act:bulk=headers", "deliver tag=[SPAM?] no-fields; suspected"),
    // signed mail
    ("signed mail is tagged", "signed spam=3", "deliver tag=[SPAM?]; suspected"),
    ("signed mail is not tagged", "signed tag-signed-off spam=3", "deliver; suspected"),
    ("other mail is", "tag-signed-off spam=3", "deliver tag=[SPAM?]; suspected"),
    ("a stamp is asked for anyway", "signed tag-signed-off encrypted", "deliver stamp=encrypted; encrypted"),
    ("signed spam is spam", "signed tag-signed-off spam=5", "quarantine as spam; spam"),
    // the first that keeps back decides, whatever is severer
    ("quarantine before reject", "ambiguous spam=5 act:spam=reject", "quarantine as ambiguous; ambiguous spam"),
    (
        "reject before discard",
        "encrypted spam=5 act:encrypted=reject act:spam=discard",
        "reject 550 5.7.1; encrypted spam",
    ),
    ("discard before reject", "risky spam=5 act:risky-file=discard act:spam=reject", "discard; risky-file spam"),
];
