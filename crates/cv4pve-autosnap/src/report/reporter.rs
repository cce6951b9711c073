// SPDX-License-Identifier: GPL-3.0-only
//! The thread that writes the report of a run.
//!
//! The engine only puts events into a queue and never waits for the thread. A reader that does not
//! read (`| less`, a full pipe, a terminal stopped with Ctrl-S) blocks the thread and nothing else.
//!
//! Memory while the output is not read: a run has a limited number of small events, a few for each step of
//! the plan. Only text from outside can be large: hook output and lines of `--debug`. At most
//! [`MAX_PENDING_TEXT`] bytes of it are queued; further text is left out, and a line of the report counts its bytes.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use autosnap_core::event::{Event, EventKind};
use autosnap_core::record::RunRecord;
use tokio::sync::oneshot;

use super::Sink;
use super::console::write_error_line;
use autosnap::events::EventReceiver;

/// How many bytes of hook output and `--debug` lines may wait to be written.
const MAX_PENDING_TEXT: usize = 16 * 1024 * 1024;

/// The queue of the run that is being reported, for lines of `--debug`: they are printed between the
/// lines of the report, in the order in which they were emitted.
static CURRENT: Mutex<Option<Queue>> = Mutex::new(None);

/// Sinks in a thread of their own.
#[derive(Debug)]
pub struct Reporter {
    queue: Queue,
    written: oneshot::Receiver<()>,
}

impl Reporter {
    /// Starts the thread. Fails if the system has no thread for us.
    pub fn start(sinks: Vec<Box<dyn Sink + Send>>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let queue = Queue {
            sender,
            pending: Arc::default(),
            lost_lines: Arc::default(),
        };
        let pending = Arc::clone(&queue.pending);
        let (done, written) = oneshot::channel();
        thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || {
                write(receiver, sinks, &pending);
                // Fails if the process is being abandoned.
                let _ = done.send(());
            })?;
        *current() = Some(queue.clone());
        Ok(Self { queue, written })
    }

    /// Passes every event to the sinks until the last sender is gone, then the record. Waits until everything is
    /// written.
    pub async fn drive(self, mut receiver: EventReceiver) {
        let Self { queue, written } = self;
        while let Some(event) = receiver.recv().await {
            queue.send(event);
        }
        queue.finish(receiver.record());
        *current() = None;
        drop(queue);
        // An error means that the thread has ended.
        let _ = written.await;
    }
}

fn current() -> std::sync::MutexGuard<'static, Option<Queue>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line of `--debug` to stderr, between the lines of the report if there is one.
pub fn print_debug_line(line: &str) {
    match &*current() {
        Some(queue) => queue.send_line(line),
        None => write_error_line(line),
    }
}

/// An item of the queue.
#[derive(Debug)]
enum Message {
    Event { event: Event, text: usize },
    Finish(Arc<RunRecord>),
    Line(String),
}

/// The sending side of the queue to the thread. Clones send to the same queue.
#[derive(Debug, Clone)]
struct Queue {
    sender: mpsc::Sender<Message>,
    /// Bytes of text from outside in the queue.
    pending: Arc<AtomicUsize>,
    /// Lines of `--debug` left out since the last one that was queued.
    lost_lines: Arc<AtomicUsize>,
}

impl Queue {
    fn send(&self, mut event: Event) {
        let mut text = 0;
        if let EventKind::HookRan(run) = &mut event.kind {
            if !self.has_room(run.output.len()) {
                let length = run.output.len();
                run.output = format!("[{length} bytes of output left out: the report is not read]");
            }
            text = run.output.len();
        }
        self.pending.fetch_add(text, Ordering::Relaxed);
        // Fails only if the thread has ended: then nothing can be reported.
        let _ = self.sender.send(Message::Event { event, text });
    }

    fn finish(&self, record: Arc<RunRecord>) {
        let _ = self.sender.send(Message::Finish(record));
    }

    fn send_line(&self, line: &str) {
        if !self.has_room(line.len()) {
            self.lost_lines.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lost = self.lost_lines.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.push_line(format!("[{lost} lines left out: the output is not read]"));
        }
        self.push_line(line.to_owned());
    }

    fn push_line(&self, line: String) {
        self.pending.fetch_add(line.len(), Ordering::Relaxed);
        let _ = self.sender.send(Message::Line(line));
    }

    fn has_room(&self, length: usize) -> bool {
        self.pending.load(Ordering::Relaxed).saturating_add(length) <= MAX_PENDING_TEXT
    }
}

fn write(
    messages: mpsc::Receiver<Message>,
    mut sinks: Vec<Box<dyn Sink + Send>>,
    pending: &AtomicUsize,
) {
    for message in messages {
        let text = match message {
            Message::Event { event, text } => {
                for sink in &mut sinks {
                    sink.observe(&event);
                }
                text
            }
            Message::Finish(record) => {
                for sink in &mut sinks {
                    sink.finish(&record);
                }
                0
            }
            Message::Line(line) => {
                write_error_line(&line);
                line.len()
            }
        };
        pending.fetch_sub(text, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use autosnap_core::event::{HookEnd, HookRun};

    use super::*;

    /// A sink that blocks until it is released, and counts the hook output that it receives.
    struct Stalled {
        go: mpsc::Receiver<()>,
        output: Arc<AtomicUsize>,
        notes: Arc<AtomicUsize>,
    }

    impl Sink for Stalled {
        fn observe(&mut self, event: &Event) {
            // An error means: from now on without waiting.
            let _ = self.go.recv();
            if let EventKind::HookRan(run) = &event.kind {
                self.output.fetch_add(run.output.len(), Ordering::SeqCst);
                let is_note = run.output.contains("bytes of output left out");
                self.notes.fetch_add(usize::from(is_note), Ordering::SeqCst);
            }
        }
    }

    /// While nothing is written, the queue accepts every event immediately and uses little memory.
    #[tokio::test]
    async fn a_stalled_report_delays_no_event_and_its_memory_is_bounded() {
        const CALLS: usize = 1000;
        let (output, notes) = (Arc::<AtomicUsize>::default(), Arc::default());
        let (go, blocked) = mpsc::channel();
        let sink = Stalled {
            go: blocked,
            output: Arc::clone(&output),
            notes: Arc::clone(&notes),
        };
        let reporter = Reporter::start(vec![Box::new(sink)]).unwrap();
        let queue = reporter.queue.clone();
        let (events, mut receiver) = autosnap::events::Events::channel();
        for _ in 0..CALLS {
            events.emit(EventKind::HookRan(HookRun {
                vmid: None,
                phase: "snap-create-pre".into(),
                end: HookEnd::Exited(0),
                output: "x".repeat(64 * 1024),
            }));
            queue.send(receiver.try_recv().unwrap());
        }
        assert_eq!(output.load(Ordering::SeqCst), 0, "nothing is written yet");
        let pending = queue.pending.load(Ordering::Relaxed);
        assert!(pending < MAX_PENDING_TEXT + CALLS * 100, "{pending}");
        drop((go, events, queue));
        reporter.drive(receiver).await;
        let left_out = notes.load(Ordering::SeqCst);
        assert!(left_out > 0 && left_out < CALLS, "{left_out}");
        assert!(output.load(Ordering::SeqCst) >= (CALLS - left_out) * 64 * 1024);
    }
}
