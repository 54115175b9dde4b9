//! From the settings of judging content to the configurations of its rooms.

use crate::config::{ContentSettings, QuarantineSettings, ScanSettings, ScannerSettings};
use crate::message::specimen::Limits;
use crate::model::detectors::Detectors;
use crate::scan::external::{self, Endpoint, Service};
use crate::{quarantine, scan};

pub(super) fn scan(settings: &ContentSettings) -> scan::Config {
    let ScanSettings { workers, patience, time, off, budgets, .. } = &settings.scan;
    let plain = scan::Config::default();
    scan::Config {
        workers: workers.unwrap_or(plain.workers),
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
        external: external::Config {
            clamd: service(&settings.scanners.clamd),
            icap: service(&settings.scanners.icap),
            rspamd: service(&settings.scanners.rspamd),
            spamd: service(&settings.scanners.spamd),
        },
    }
}

fn service(settings: &ScannerSettings) -> Option<Service> {
    // The settings were checked. A place that is none all the same is one that never answers, rather than one nobody asks.
    let place = |text: &String| Endpoint::parse(text).unwrap_or_else(|_| Endpoint::Unix(text.into()));
    let endpoints: Vec<_> = settings.servers.iter().map(place).collect();
    (!endpoints.is_empty()).then(|| Service {
        endpoints,
        timeout: settings.timeout,
        connections: settings.connections,
        max_size: settings.max_size,
        required: settings.required,
        name: settings.name.as_str().into(),
    })
}

pub(super) fn quarantine(settings: &QuarantineSettings) -> quarantine::Config {
    quarantine::Config {
        keep: settings.keep,
        min_free_bytes: settings.min_free,
        most_messages: settings.messages,
        ..quarantine::Config::new(&settings.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Detector;

    #[test]
    fn a_scanner_that_is_named_is_asked_as_the_room_would() {
        use Detector::{Clamd, Icap, Rspamd, Spamd};
        for (detector, table) in [(Clamd, "clamd"), (Icap, "icap"), (Rspamd, "rspamd"), (Spamd, "spamd")] {
            let settings =
                content(&format!("{MINIMAL}[{table}]\nservers = ['/run/x.sock', '[::1]:99', 'av.example:99']\n"));
            let config = scan(&settings).external;
            let services = [config.clamd, config.icap, config.rspamd, config.spamd];
            let [asked] = services.iter().flatten().collect::<Vec<_>>()[..] else { panic!("{table}: {services:?}") };
            assert_eq!(Some(asked.clone()), Service::usual(detector, asked.endpoints.clone()), "{table}");
            assert_eq!(asked.endpoints[2].to_string(), "av.example:99");
        }
    }

    const MINIMAL: &str = "hostname = 'a.example'\ndata_dir = '/d'\n[[listener]]\nname = 'm'\ndirection = 'inbound'\nbind = '127.0.0.1:0'\n";

    fn content(text: &str) -> ContentSettings {
        let files = [("s.toml".to_owned(), text)];
        let problems = crate::model::written::Problems::default();
        crate::config::read(&files, [], std::path::Path::new("/"), problems).unwrap().settings.content
    }

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_rooms() {
        let settings = content(MINIMAL);
        assert_eq!(scan(&settings), scan::Config::default());
        assert_eq!(quarantine(&settings.quarantine), quarantine::Config::new("/d/quarantine"));
    }

    #[test]
    fn every_setting_reaches_its_room() {
        let text = "[scan]\nworkers = 3\npatience = '1s'\ntime = '2s'\noff = ['yara']\nfiles = 11\nlayers = 3\nfile_size = '1MiB'\n\
                    unpacked_size = '2MiB'\nratio = 12\nparts = 13\ndepth = 14\n[quarantine]\nkeep = '1d'\nmin_free = '1MiB'\nmessages = 1000\n";
        let settings = content(&format!("{MINIMAL}{text}"));
        let scan = scan(&settings);
        assert_eq!((scan.workers, scan.patience.as_secs(), scan.time.as_secs()), (3, 1, 2));
        assert!(!scan.on.has(Detector::Yara) && scan.on.has(Detector::Hashes));
        let Limits { parts, depth, files, layers, file_octets, unpacked_octets, ratio, .. } = scan.limits;
        assert_eq!((parts, depth, files, layers, ratio), (13, 14, 11, 3, 12));
        assert_eq!((file_octets, unpacked_octets), (1 << 20, 2 << 20));
        let quarantine = quarantine(&settings.quarantine);
        assert_eq!(
            (quarantine.keep.as_secs(), quarantine.min_free_bytes, quarantine.most_messages),
            (86_400, 1 << 20, 1000)
        );
    }
}
