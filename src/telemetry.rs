//! Logs: to standard error and, where asked for, to files, one line for each event whatever its values hold. Knows the configuration, and nothing
//! of what is logged.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;

use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::fmt::format::{DefaultFields, Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::LevelFilter};

use crate::config::{Config, Log, LogFormat};

/// Libraries that say too much, or what clients sent, below a warning. `LOG_LEVEL` may name one to hear more.
const QUIET: &str = "socketioxide=warn,socketioxide_core=warn,engineioxide=warn,engineioxide_core=warn,mongodb=warn,hyper=warn,hyper_util=warn,\
                     tower_http=warn,reqwest=warn,rustls=warn,hickory_proto=warn,hickory_resolver=warn,tungstenite=warn";

/// Keeps the files' writers alive. Dropping it writes what they still hold, for at most about a second, so it is the last that `main` drops.
#[derive(Debug)]
#[must_use = "dropping it ends the log files"]
pub struct Guard {
    _writers: Vec<WorkerGuard>,
}

/// Starts the logs of this process, once. Fails if the folder of the log files cannot be written, or logs were started before.
pub fn init(config: &Config) -> io::Result<Guard> {
    let (files, guard) = Files::open(&config.log)?;
    subscriber(&config.log, io::stderr, files)?.try_init().map_err(io::Error::other)?;
    Ok(guard)
}

/// The writers of `app.log` and `error.log`, where there are any.
#[derive(Default)]
struct Files {
    app: Option<NonBlocking>,
    error: Option<NonBlocking>,
}

impl Files {
    /// Opens both at their ends. Their lines are written by threads of their own; a queue of 128,000 lines that is full drops new ones.
    fn open(log: &Log) -> io::Result<(Self, Guard)> {
        let Some(dir) = &log.dir else { return Ok((Self::default(), Guard { _writers: Vec::new() })) };
        fs::create_dir_all(dir)?;
        let open = |name: &str| OpenOptions::new().create(true).append(true).open(dir.join(name));
        let (app, app_guard) = tracing_appender::non_blocking(open("app.log")?);
        let (error, error_guard) = tracing_appender::non_blocking(open("error.log")?);
        Ok((Self { app: Some(app), error: Some(error) }, Guard { _writers: vec![app_guard, error_guard] }))
    }
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// The filter and the outputs, put together.
fn subscriber<W>(log: &Log, stderr: W, files: Files) -> io::Result<impl Subscriber + Send + Sync + use<W>>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let mut outputs: Vec<Boxed> = vec![output(log.format, stderr)];
    outputs.extend(files.app.map(|app| output(log.format, app)));
    outputs.extend(files.error.map(|error| output(log.format, error).with_filter(LevelFilter::ERROR).boxed()));
    let filter = EnvFilter::try_new(directives(&log.level)).map_err(io::Error::other)?;
    Ok(tracing_subscriber::registry().with(outputs).with(filter))
}

/// The level with the quiet libraries before it, so that it can name one of them; they are not to speak up where everything else is silent.
fn directives(level: &str) -> String {
    let silent = |part: &str| ["off", "error"].iter().any(|l| part.trim().eq_ignore_ascii_case(l));
    if level.split(',').any(silent) { level.to_owned() } else { format!("{QUIET},{level}") }
}

fn output<W>(format: LogFormat, writer: W) -> Boxed
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    match format {
        // JSON escapes control characters by itself.
        LogFormat::Json => layer.json().boxed(),
        LogFormat::Text => layer.event_format(OneLine(Format::default().with_ansi(false))).boxed(),
    }
}

/// The library's text format, made safe: it writes values given with `%` as they are, so that a line break in a name would begin a line that looks
/// like one of ours.
struct OneLine(Format<Full>);

impl<S> FormatEvent<S, DefaultFields> for OneLine
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    DefaultFields: for<'w> FormatFields<'w>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, DefaultFields>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        for c in line.strip_suffix('\n').unwrap_or(&line).chars() {
            if breaks(c) { write!(writer, "{}", c.escape_default())? } else { writer.write_char(c)? }
        }
        writer.write_char('\n')
    }
}

/// Control characters, the line and paragraph separators, and what turns the direction of text.
fn breaks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer that keeps everything.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, dir: Option<&Path>, act: impl FnOnce()) -> String {
        let log = Log { level: level.to_owned(), format, dir: dir.map(Path::to_owned) };
        let kept = Kept::default();
        let writer = kept.clone();
        let (files, guard) = Files::open(&log).unwrap();
        tracing::subscriber::with_default(subscriber(&log, move || writer.clone(), files).unwrap(), act);
        drop(guard);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const EVIL: &str = "eve\r\n2027-01-01T00:00:00Z  INFO helpline: login ok\u{1b}[2J\u{2028}\u{202e}\u{85}";

    fn log_evil_everywhere() {
        let _span = tracing::info_span!("span", name = %EVIL, other = EVIL).entered();
        tracing::info!(name = %EVIL, text = EVIL, debug = ?EVIL, "said {EVIL}");
        let cause = io::Error::other(io::Error::other(EVIL));
        tracing::error!(error = &cause as &(dyn std::error::Error + 'static), "{}", EVIL);
    }

    #[test]
    fn s39_no_value_can_forge_a_line() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged("info", format, None, log_evil_everywhere);
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(!text.contains(['\r', '\u{1b}']), "{text}");
            assert!(text.contains("eve\\r\\n2027"), "{text}");
        }
        let text = logged("info", LogFormat::Text, None, log_evil_everywhere);
        assert!(!text.contains(['\u{2028}', '\u{202e}', '\u{85}']), "{text}");
    }

    #[test]
    fn files_hold_everything_and_the_errors_once_the_guard_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("logs");
        let run = |n: u8| {
            logged("info", LogFormat::Text, Some(&dir), || {
                tracing::info!("fine {n}");
                tracing::error!("broken {n}");
                tracing::debug!("unheard {n}");
            })
        };
        let stderr = run(1) + &run(2);
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let ends = |text: String| text.lines().filter_map(|l| l.split_once("tests: ").map(|(_, end)| end.to_owned())).collect::<Vec<_>>();
        assert_eq!(ends(read("app.log")), ["fine 1", "broken 1", "fine 2", "broken 2"]);
        assert_eq!(ends(read("error.log")), ["broken 1", "broken 2"]);
        assert_eq!(ends(stderr), ["fine 1", "broken 1", "fine 2", "broken 2"]);
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        let act = || {
            tracing::debug!("ours");
            tracing::debug!(target: "socketioxide", "chatter");
            tracing::warn!(target: "engineioxide", "trouble");
        };
        let heard = |level: &str| {
            let text = logged(level, LogFormat::Text, None, act);
            ["ours", "chatter", "trouble"].map(|word| text.contains(word))
        };
        assert_eq!(heard("debug"), [true, false, true]);
        assert_eq!(heard("info,socketioxide=debug"), [false, true, true]);
        assert_eq!(heard("error"), [false, false, false]);
        assert_eq!(heard("off"), [false, false, false]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Log { level: "info".to_owned(), format: LogFormat::Text, dir: Some(file.path().join("logs")) };
        assert!(Files::open(&log).is_err());
    }
}
