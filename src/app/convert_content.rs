//! From the settings of judging content to the configurations of its rooms.

use crate::clock::Clock;
use crate::config::{
    ContentSettings, QuarantineSettings, ScanSettings, ScannerSettings, ScannersSettings, SignatureSettings,
};
use crate::message::specimen::{Limits, Specimen};
use crate::model::detectors::Detectors;
use crate::scan::external::{self, Endpoint, Service};
use crate::signatures::keys::{PublicKey, Trust};
use crate::signatures::published::Published;
use crate::signatures::sets;
use crate::{quarantine, scan};

/// `threads`: those that serve connections; `None`: nobody is served.
pub(super) fn scan(settings: &ContentSettings, threads: Option<usize>) -> scan::Config {
    let ScanSettings { workers, patience, time, off, budgets, passwords, classifier } = &settings.scan;
    let plain = scan::Config::default();
    scan::Config {
        workers: workers.unwrap_or(plain.workers),
        short_here: match threads {
            // One is left to serve connections, unless no other processor would do the work meanwhile.
            Some(threads) if plain.workers > 1 => threads.saturating_sub(1),
            _ => plain.short_here,
        },
        patience: *patience,
        time: *time,
        limits: Limits {
            parts: budgets.parts,
            depth: budgets.depth,
            files: budgets.files,
            layers: budgets.layers,
            file_octets: budgets.file_size,
            unpacked_octets: budgets.unpacked_size,
            ratio: budgets.ratio,
            ..plain.limits
        },
        on: off.iter().fold(Detectors::all(), Detectors::without),
        passwords: passwords.iter().map(|password| password.as_str().into()).collect(),
        layers: Some(classifier.dir.clone()),
        layer_memory: usize::try_from(classifier.memory).unwrap_or(usize::MAX),
    }
}

/// # Errors
/// A sentence for an address that is none.
pub(super) fn external(settings: &ScannersSettings) -> Result<external::Config, String> {
    let ScannersSettings { clamd, icap, rspamd, spamd } = settings;
    let service = |own: &ScannerSettings| {
        if own.servers.is_empty() {
            return Ok(None);
        }
        let endpoints = own.servers.iter().map(|server| Endpoint::parse(server)).collect::<Result<Vec<_>, _>>();
        let endpoints = endpoints.map_err(|error| error.to_string())?;
        Ok::<_, String>(Some(Service {
            endpoints,
            timeout: own.timeout,
            connections: own.connections,
            max_size: own.max_size,
            required: own.required,
            name: own.name.as_str().into(),
        }))
    };
    Ok(external::Config {
        clamd: service(clamd)?,
        icap: service(icap)?,
        rspamd: service(rspamd)?,
        spamd: service(spamd)?,
    })
}

/// # Errors
/// A sentence for a key that can't be read, or a directory that can't be made.
pub(super) fn signatures(settings: &SignatureSettings, clock: Clock) -> Result<sets::Config, String> {
    let keys = settings.keys.iter().map(|key| key.parse::<PublicKey>().map_err(|error| error.to_string()));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let published = Published::open(&settings.dir)
        .map_err(|error| format!("the directory of signature sets {}: {error}", settings.dir.display()))?;
    let trust = Trust { keys, needed: settings.signers };
    let parse = |octets| Specimen::parse(octets, &Limits::default(), &|| false);
    Ok(sets::Config { published, trust, clock, parse, judge: scan::trial::findings })
}

pub(super) fn quarantine(settings: &QuarantineSettings) -> quarantine::Config {
    quarantine::Config {
        keep: settings.keep,
        min_free_bytes: settings.min_free,
        most_messages: settings.messages,
        most_of_tenant: settings.tenant_messages,
        most_bytes_of_tenant: settings.tenant_size,
        ..quarantine::Config::new(&settings.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Detector;

    const MINIMAL: &str = "hostname = 'a.example'\ndata_dir = '/d'\n[[listener]]\nname = 'm'\ndirection = 'inbound'\nbind = '127.0.0.1:0'\n";

    fn content(text: &str) -> ContentSettings {
        let files = [("s.toml".to_owned(), text)];
        let problems = crate::model::written::Problems::default();
        crate::config::read(&files, [], std::path::Path::new("/"), problems).unwrap().settings.content
    }

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_rooms() {
        let settings = content(MINIMAL);
        let layers = Some(std::path::Path::new("/d").join(crate::signatures::layers::DIR));
        assert_eq!(scan(&settings, None), scan::Config { layers, ..scan::Config::default() });
        assert_eq!(quarantine(&settings.quarantine), quarantine::Config::new("/d/quarantine"));
    }

    #[test]
    fn every_setting_reaches_its_room() {
        let text = "[scan]\nworkers = 3\npatience = '1s'\ntime = '2s'\noff = ['yara']\nfiles = 11\nlayers = 3\nfile_size = '1MiB'\n\
                    unpacked_size = '2MiB'\nratio = 12\nparts = 13\ndepth = 14\n[classifier]\nmemory = '5MiB'\n[quarantine]\nkeep = '1d'\nmin_free = '1MiB'\nmessages = 1000\n\
                    tenant_messages = 1001\ntenant_size = '3MiB'\n";
        let settings = content(&format!("{MINIMAL}{text}"));
        let processors = scan::Config::default().workers;
        let scan = scan(&settings, Some(6));
        assert_eq!(scan.short_here, if processors > 1 { 5 } else { 1 });
        assert_eq!((scan.workers, scan.patience.as_secs(), scan.time.as_secs()), (3, 1, 2));
        assert!(!scan.on.has(Detector::Yara) && scan.on.has(Detector::Hashes));
        let Limits { parts, depth, files, layers, file_octets, unpacked_octets, ratio, .. } = scan.limits;
        assert_eq!((parts, depth, files, layers, ratio), (13, 14, 11, 3, 12));
        assert_eq!((file_octets, unpacked_octets, scan.layer_memory), (1 << 20, 2 << 20, 5 << 20));
        let quarantine = quarantine(&settings.quarantine);
        assert_eq!(
            (quarantine.keep.as_secs(), quarantine.min_free_bytes, quarantine.most_messages),
            (86_400, 1 << 20, 1000)
        );
        assert_eq!((quarantine.most_of_tenant, quarantine.most_bytes_of_tenant), (1001, 3 << 20));
    }
}
