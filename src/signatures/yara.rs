//! YARA rules (`.yar .yara`), by `yara-x`, each scan on a thread of its own kind that can be given up.
//!
//! The class of a rule is its `class` in `meta`, its points the `score` there, its description `description`; without them
//! it is that of `[yara]` in `pack.toml`, malware if nothing is said. Includes are not followed.
//!
//! **Failure**: a rule that can't be compiled is skipped and told (its file as a whole, if it is not even YARA). A scan that
//! takes too long or dies is told as failed, never as "nothing found".
//! **Invariants**: a scanner serves one scan at a time; at most [`MAX_THREADS`] scans run, those given up included.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use yara_x::{Compiler, MetaValue, Rules, ScanError, Scanner, SourceCode};

use super::fault::Faults;
use super::rules::RuleInfo;
use crate::model::finding::{Class, Score};

pub const MAX_THREADS: usize = 64;
/// A scanner is made anew after so many scans: it keeps memory.
const SCANS: usize = 2_000;
/// yara-x counts in whole seconds, and finishes what it is at.
const GRACE: Duration = Duration::from_secs(2);
/// Rules told of one file.
const MAX_RULES: usize = 32;

/// All YARA rules of a set.
#[derive(Default)]
pub struct Yara {
    engine: Option<Engine>,
    infos: Vec<RuleInfo>,
}

struct Engine {
    /// Shared with the threads; they end when the senders in `idle` are dropped.
    rules: Arc<Rules>,
    /// Place of each rule in [`Yara::infos`]. Two files may have rules of one name.
    places: Arc<Places>,
    idle: Mutex<Vec<mpsc::Sender<Job>>>,
    threads: Arc<AtomicUsize>,
}

/// By namespace, then by name.
type Places = HashMap<Box<str>, HashMap<Box<str>, usize>>;

struct Job {
    octets: Bytes,
    timeout: Duration,
    /// Places in [`Yara::infos`].
    answer: mpsc::SyncSender<Result<Vec<usize>, Failed>>,
}

/// A scan that came to no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    #[error("takes too long")]
    Timeout,
    #[error("the scanner failed")]
    Broken,
    #[error("too many scans that take too long")]
    Busy,
}

/// Gathers sources.
#[derive(Default)]
pub struct Builder {
    compiler: Option<Compiler<'static>>,
    /// Class and pack of each namespace.
    spaces: HashMap<String, (Class, Box<str>)>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("spaces", &self.spaces).finish_non_exhaustive()
    }
}

impl Builder {
    /// Takes a file. `class`: of its rules that don't say their own.
    pub fn add(&mut self, pack: &str, shown: &str, class: Class, text: &str, faults: &mut Faults) {
        let compiler = self.compiler.get_or_insert_with(|| {
            let mut compiler = Compiler::new();
            compiler.relaxed_re_syntax(true).enable_includes(false).switch_all_warnings(false);
            compiler
        });
        compiler.new_namespace(shown);
        self.spaces.insert(shown.to_owned(), (class, pack.into()));
        let before = compiler.errors().len();
        // What is sound in the file stays; the errors name the rest.
        if compiler.add_source(SourceCode::from(text).with_origin(shown)).is_err() {
            for error in compiler.errors().get(before..).unwrap_or_default() {
                let told = serde_json::to_value(error).unwrap_or_default();
                let line = told.pointer("/labels/0/line").and_then(serde_json::Value::as_u64).unwrap_or(0);
                let title = told.get("title").and_then(serde_json::Value::as_str).unwrap_or("not YARA");
                let what = told.pointer("/labels/0/text").and_then(serde_json::Value::as_str).unwrap_or_default();
                faults.skip(shown, usize::try_from(line).unwrap_or(0), format!("{title}: {what}"));
            }
        }
    }

    #[must_use]
    pub fn finish(self) -> Yara {
        let Some(compiler) = self.compiler else { return Yara::default() };
        let rules = compiler.build();
        let mut infos = Vec::new();
        let mut places = Places::new();
        for rule in rules.iter() {
            let (mut class, pack) = self.spaces.get(rule.namespace()).cloned().unwrap_or((Class::Malware, "".into()));
            let mut score = Score::ZERO;
            let mut description = "";
            for (key, value) in rule.metadata() {
                match (key, value) {
                    ("class", MetaValue::String(name)) => {
                        class = Class::ALL.into_iter().find(|class| class.name() == name).unwrap_or(class);
                    }
                    ("score", MetaValue::Float(points)) => score = Score::from_points(points),
                    ("score", MetaValue::Integer(points)) => {
                        score = i32::try_from(points).map_or(Score::ZERO, |points| Score(points.saturating_mul(1_000)));
                    }
                    ("description", MetaValue::String(text)) => description = text,
                    _ => {}
                }
            }
            let name: Box<str> = rule.identifier().into();
            places.entry(rule.namespace().into()).or_default().insert(name.clone(), infos.len());
            let (en, ja) = (description.into(), description.into());
            infos.push(RuleInfo { name, class, score: Some(score), en, ja, pack });
        }
        let engine = Engine {
            rules: Arc::new(rules),
            places: Arc::new(places),
            idle: Mutex::default(),
            threads: Arc::default(),
        };
        Yara { engine: (!infos.is_empty()).then_some(engine), infos }
    }
}

impl Yara {
    #[must_use]
    pub fn len(&self) -> usize {
        self.infos.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.infos.is_empty()
    }

    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        self.infos.iter()
    }

    /// Of the rules of this name the one of the worst class.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<&RuleInfo> {
        self.infos.iter().filter(|info| &*info.name == name).min_by_key(|info| info.class)
    }

    /// Threads that wait for work end; the next work gets a new one, of the priority of who asks.
    pub fn end_threads(&self) {
        if let Some(engine) = &self.engine {
            engine.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// The rules that match, those of the worst class first, at most 32. Waits for at most `timeout` and two seconds.
    pub fn scan(&self, octets: Bytes, timeout: Duration) -> Result<Vec<&RuleInfo>, Failed> {
        let Some(engine) = &self.engine else { return Ok(Vec::new()) };
        let idle = engine.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let worker = match idle {
            Some(worker) => worker,
            None => engine.start()?,
        };
        let (answer, answered) = mpsc::sync_channel(1);
        worker.send(Job { octets, timeout, answer }).map_err(|_| Failed::Broken)?;
        let places = answered.recv_timeout(timeout + GRACE).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => Failed::Timeout,
            mpsc::RecvTimeoutError::Disconnected => Failed::Broken,
        })??;
        engine.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        let mut found: Vec<&RuleInfo> = places.into_iter().filter_map(|place| self.infos.get(place)).collect();
        found.sort_by_key(|info| (info.class, std::cmp::Reverse(info.score)));
        found.truncate(MAX_RULES);
        Ok(found)
    }
}

impl Engine {
    /// A thread that scans until its sender is dropped: with the set, or when a scan was given up.
    fn start(&self) -> Result<mpsc::Sender<Job>, Failed> {
        let place = Place::take(&self.threads).ok_or(Failed::Busy)?;
        let (worker, jobs) = mpsc::channel();
        let (rules, places) = (Arc::clone(&self.rules), Arc::clone(&self.places));
        let run = move || {
            let _place = place;
            // A scan that panics ends this thread; its asker hears that nobody answers.
            let _ = catch_unwind(AssertUnwindSafe(|| serve(&rules, &places, &jobs)));
        };
        let started = std::thread::Builder::new().name("yara".to_owned()).spawn(run);
        started.map(|_| worker).map_err(|_| Failed::Busy)
    }
}

/// One of [`MAX_THREADS`].
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(threads: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(threads));
        (threads.fetch_add(1, Ordering::Relaxed) < MAX_THREADS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn serve(rules: &Rules, places: &Places, jobs: &mpsc::Receiver<Job>) {
    loop {
        let mut scanner = Scanner::new(rules);
        scanner.max_matches_per_pattern(100);
        for _ in 0..SCANS {
            let Ok(job) = jobs.recv() else { return };
            scanner.set_timeout(job.timeout.max(Duration::from_secs(1)));
            let found = match scanner.scan(&job.octets) {
                Ok(results) => {
                    let place = |rule: yara_x::Rule<'_, '_>| {
                        places.get(rule.namespace()).and_then(|space| space.get(rule.identifier())).copied()
                    };
                    Ok(results.matching_rules().filter_map(place).collect())
                }
                Err(ScanError::Timeout) => Err(Failed::Timeout),
                Err(_) => Err(Failed::Broken),
            };
            // Nobody waits any more: that is told there.
            let _ = job.answer.send(found);
        }
    }
}

impl fmt::Debug for Yara {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yara").field("rules", &self.infos.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(text: &str) -> (Yara, Faults) {
        let (mut builder, mut faults) = (Builder::default(), Faults::default());
        builder.add("test", "test/a.yar", Class::RiskyFile, text, &mut faults);
        (builder.finish(), faults)
    }

    fn names(yara: &Yara, octets: &'static [u8]) -> Vec<String> {
        let found = yara.scan(Bytes::from_static(octets), Duration::from_secs(5)).unwrap();
        found.iter().map(|info| format!("{} {} {}", info.name, info.class.name(), info.score.unwrap())).collect()
    }

    #[test]
    fn rules_match_and_say_their_class() {
        let (yara, faults) = compiled(
            r#"
            rule Plain { strings: $a = "needle" condition: $a }
            rule Told { meta: class = "spam" score = 2.5 strings: $a = { 6e ?? 65 } condition: $a }
            "#,
        );
        assert_eq!(faults.skipped, []);
        assert_eq!(names(&yara, b"a needle"), ["Plain risky-file 0.0", "Told spam 2.5"]);
        assert_eq!(names(&yara, b"nothing"), [""; 0]);
        assert_eq!(names(&yara, b"a needle again").len(), 2, "the same scanner serves again");
    }

    #[test]
    fn however_many_rules_match_the_worst_are_told() {
        let many: String =
            (0..100).map(|n| format!("rule A{n} {{ meta: class = \"spam\" condition: true }}\n")).collect();
        let (yara, _) = compiled(&format!("{many}rule Z {{ meta: class = \"malware\" condition: true }}"));
        let told = names(&yara, b"x");
        assert_eq!((told.len(), &*told[0]), (MAX_RULES, "Z malware 0.0"));
    }

    #[test]
    fn rules_of_one_name_in_two_files_keep_their_classes() {
        let (mut builder, mut faults) = (Builder::default(), Faults::default());
        builder.add("test", "test/a.yar", Class::Spam, "rule Same { condition: filesize == 1 }", &mut faults);
        builder.add("test", "test/b.yar", Class::Malware, "rule Same { condition: filesize == 2 }", &mut faults);
        let yara = builder.finish();
        assert_eq!(names(&yara, b"x"), ["Same spam 0.0"]);
        assert_eq!(names(&yara, b"xx"), ["Same malware 0.0"]);
    }

    #[test]
    fn a_bad_rule_is_told_with_its_line_and_the_others_stay() {
        let (yara, faults) = compiled("rule A { condition: true }\nrule B { condition: $missing }\n");
        assert_eq!(faults.skipped.len(), 1);
        assert!(faults.skipped[0].to_string().starts_with("test/a.yar:2: "), "{:?}", faults.skipped);
        assert_eq!(yara.len(), 1);
    }

    #[test]
    fn no_rules_need_no_thread() {
        let yara = Yara::default();
        assert_eq!(yara.scan(Bytes::from_static(b"x"), Duration::from_secs(1)).unwrap(), Vec::<&RuleInfo>::new());
    }
}
