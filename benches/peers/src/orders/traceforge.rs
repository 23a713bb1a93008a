//! TraceForge's part. Each function verifies a program and returns how many executions it has.

use std::ops::Range;

use traceforge::thread::{self, ThreadId};
use traceforge::{Config, Nondet, SchedulePolicy, nondet, recv_msg_block, recv_tagged_msg_block};
use traceforge::{send_msg, send_tagged_msg, verify};

fn executions(program: impl Fn() + Send + Sync + 'static) -> u64 {
    let config = Config::builder().with_policy(SchedulePolicy::LTR).with_progress_report(usize::MAX);
    let stats = verify(config.build(), program);
    assert_eq!(stats.block, 0, "executions that do not end");
    stats.execs as u64
}

/// Each of `messages` from a thread of its own, all to one receiver.
pub fn fan_in(messages: u32) -> u64 {
    executions(move || {
        let receiver = thread::spawn(move || {
            let mut came: Vec<u32> = Vec::new();
            for _ in 0..messages {
                came.push(recv_msg_block());
            }
            check(&mut came, messages);
        });
        send_each(0..messages, receiver.thread().id());
    })
}

/// The same, and at most one message that was handled comes again.
pub fn fan_in_again(messages: u32) -> u64 {
    executions(move || {
        let receiver = thread::spawn(move || {
            let (mut came, mut lost) = (Vec::new(), 0);
            let mut handled = 0;
            while handled < messages + lost {
                let message: u32 = recv_msg_block();
                handled += 1;
                if !came.contains(&message) {
                    came.push(message);
                }
                if lost == 0 && nondet() {
                    lost = 1;
                    send_msg(thread::current_id(), message);
                }
            }
            check(&mut came, messages);
        });
        send_each(0..messages, receiver.thread().id());
    })
}

fn send_each(messages: Range<u32>, receiver: ThreadId) {
    for message in messages {
        thread::spawn(move || send_msg(receiver, message));
    }
}

fn check(came: &mut [u32], messages: u32) {
    came.sort_unstable();
    traceforge::assert(came.iter().copied().eq(0..messages));
}

const WORKERS: usize = 2;
const INIT: u32 = 0;
const REQUEST: u32 = 1;
const SUBMIT: u32 = 2;

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Top(String),
    Leaf(String),
}

/// To whom a job is submitted: one of these workers, or a queue.
#[derive(Clone, Debug, PartialEq)]
enum Submit {
    Push(Vec<ThreadId>),
    Queue(ThreadId),
    Pull(ThreadId),
}

impl Submit {
    fn job(&self, job: Job) {
        match self {
            Submit::Push(workers) => send_msg(workers[(0..workers.len()).nondet()], job),
            Submit::Queue(queue) => send_msg(*queue, job),
            Submit::Pull(queue) => send_tagged_msg(*queue, SUBMIT, job),
        }
    }
}

fn told<T: traceforge::msg::Message + 'static>(what: u32) -> T {
    recv_tagged_msg_block(move |_, tag| tag == Some(what))
}

fn worker() {
    let submit: Submit = told(INIT);
    loop {
        if let Submit::Pull(queue) = &submit {
            send_tagged_msg(*queue, REQUEST, thread::current_id());
        }
        if let Job::Top(name) = recv_msg_block() {
            submit.job(Job::Leaf(name.clone() + "1"));
            submit.job(Job::Leaf(name + "2"));
        }
    }
}

fn workers() -> Vec<ThreadId> {
    (0..WORKERS).map(|_| thread::spawn_daemon(worker).thread().id()).collect()
}

fn start(workers: &[ThreadId], submit: Submit) {
    for worker in workers {
        send_tagged_msg(*worker, INIT, submit.clone());
    }
    submit.job(Job::Top("a".to_owned()));
}

/// The job queue whose every submit picks a worker.
pub fn push() -> u64 {
    executions(|| {
        let workers = workers();
        start(&workers, Submit::Push(workers.clone()));
    })
}

/// The job queue with a thread that picks a worker for each job.
pub fn push_through_queue() -> u64 {
    executions(|| {
        let workers = workers();
        let queue = thread::spawn_daemon(|| {
            let workers: Vec<ThreadId> = told(INIT);
            loop {
                let job: Job = recv_msg_block();
                send_msg(workers[(0..workers.len()).nondet()], job);
            }
        });
        send_tagged_msg(queue.thread().id(), INIT, workers.clone());
        start(&workers, Submit::Queue(queue.thread().id()));
    })
}

/// The job queue whose workers ask for jobs.
pub fn pull() -> u64 {
    executions(|| {
        let workers = workers();
        let queue = thread::spawn_daemon(|| {
            loop {
                let worker: ThreadId = told(REQUEST);
                let job: Job = told(SUBMIT);
                send_msg(worker, job);
            }
        });
        start(&workers, Submit::Pull(queue.thread().id()));
    })
}
