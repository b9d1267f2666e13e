use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// The words and numbers that the account has heard.
#[derive(Default)]
struct Heard {
    undelivered: Mutex<BTreeMap<ProbeId, u64>>,
    said: Mutex<Vec<String>>,
}

impl Account for Heard {
    fn count_undelivered(&self, probe: ProbeId, events: u64) {
        *self.undelivered.lock().unwrap().entry(probe).or_default() += events;
    }

    fn warn(&self, text: String) {
        self.said.lock().unwrap().push(text);
    }

    fn note(&self, text: String) {
        self.said.lock().unwrap().push(text);
    }
}

type Answer = Result<PartialSuccess, SendError>;

/// A collector that tells each request, and waits for its answer.
struct Scripted {
    requests: Sender<Vec<u8>>,
    answers: Receiver<Answer>,
}

impl SendRequest for Scripted {
    fn send(&mut self, request: &[u8]) -> Answer {
        let _ = self.requests.send(request.to_vec());
        self.answers.recv().unwrap_or_else(|_| {
            Err(SendError {
                message: "the test is over".into(),
                is_passing: false,
                is_answer: true,
                retry_after: None,
            })
        })
    }
}

struct Scene {
    delivery: Delivery,
    heard: Arc<Heard>,
    requests: Receiver<Vec<u8>>,
    answers: Sender<Answer>,
}

impl Scene {
    fn new(kept: Kept) -> Self {
        let heard = Arc::<Heard>::default();
        let (requests_to, requests) = channel();
        let (answers, answers_from) = channel();
        let scripted = Scripted {
            requests: requests_to,
            answers: answers_from,
        };
        let account: Arc<dyn Account> = heard.clone();
        let delivery = Delivery::start("test", "http://c".into(), scripted, account, kept).unwrap();
        Self {
            delivery,
            heard,
            requests,
            answers,
        }
    }

    fn push(&self, bytes: Vec<u8>, events: &[(u32, u64)]) {
        self.delivery.push(EncodedRequest {
            bytes: bytes.into(),
            events: events
                .iter()
                .map(|&(id, count)| (ProbeId(id), count))
                .collect(),
        });
    }

    fn undelivered(&self) -> Vec<(u32, u64)> {
        let all = self.heard.undelivered.lock().unwrap();
        all.iter().map(|(probe, count)| (probe.0, *count)).collect()
    }

    fn said(&self) -> Vec<String> {
        self.heard.said.lock().unwrap().clone()
    }
}

fn failure(is_passing: bool) -> Answer {
    Err(SendError {
        message: "no".into(),
        is_passing,
        is_answer: false,
        retry_after: None,
    })
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// The answer of a collector that wants a pause.
fn busy() -> SendError {
    SendError {
        message: "busy".into(),
        is_passing: true,
        is_answer: true,
        retry_after: Some(Duration::from_secs(100)),
    }
}

#[test]
fn request_is_sent_again_until_it_is_taken() {
    let scene = Scene::new(Kept::All);
    scene.push(vec![1], &[(1, 5)]);
    assert_eq!(scene.requests.recv().unwrap(), [1]);
    scene.answers.send(failure(true)).unwrap();
    assert_eq!(scene.requests.recv().unwrap(), [1]);
    scene.answers.send(Ok(PartialSuccess::default())).unwrap();
    assert_eq!(scene.delivery.finish(far()), FinishedDelivery::default());
    assert!(scene.undelivered().is_empty());
    assert_eq!(
        scene.said(),
        [
            "http://c cannot be reached: no; it is tried again",
            "http://c takes telemetry again; nothing was lost",
        ]
    );
}

#[test]
fn refused_request_is_counted_and_not_sent_again() {
    let scene = Scene::new(Kept::All);
    scene.push(vec![1], &[(1, 5), (2, 3)]);
    scene.push(vec![2], &[(2, 1)]);
    scene.requests.recv().unwrap();
    scene.answers.send(failure(false)).unwrap();
    assert_eq!(scene.requests.recv().unwrap(), [2]);
    scene.answers.send(Ok(PartialSuccess::default())).unwrap();
    assert_eq!(scene.delivery.finish(far()).failure, None);
    assert_eq!(scene.undelivered(), [(1, 5), (2, 3)]);
    assert!(scene.said()[1].ends_with("8 events were not delivered meanwhile"));
}

#[test]
fn collector_that_hangs_costs_the_oldest_requests_and_no_time() {
    let scene = Scene::new(Kept::All);
    let large = || vec![0; WAITING_BYTES / 4];
    scene.push(vec![1], &[(1, 1)]);
    scene.requests.recv().unwrap();
    for probe in 2..=7 {
        scene.push(large(), &[(probe, 10)]);
    }
    assert_eq!(scene.undelivered(), [(2, 10), (3, 10)]);
    let began = Instant::now();
    let deadline = began + Duration::from_millis(50);
    let finished = scene.delivery.finish(deadline);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(finished.failure.as_deref(), Some("no answer in time"));
    let all: u64 = scene.undelivered().iter().map(|(_, count)| count).sum();
    assert_eq!(all, 61, "those that wait, and the one under way");
    // An answer that comes later changes nothing.
    scene
        .answers
        .send(Ok(PartialSuccess {
            rejected: 1,
            message: String::new(),
        }))
        .unwrap();
    while !scene.delivery.shared.lock().ended {
        thread::yield_now();
    }
    assert_eq!(
        scene
            .undelivered()
            .iter()
            .map(|(_, count)| count)
            .sum::<u64>(),
        61
    );
}

#[test]
fn end_makes_one_more_attempt_at_once_and_keeps_to_its_deadline() {
    let scene = Scene::new(Kept::All);
    scene.push(vec![1], &[(1, 5)]);
    scene.requests.recv().unwrap();
    scene.answers.send(Err(busy())).unwrap();
    let delivery = &scene.delivery;
    thread::scope(|scope| {
        let finished = scope.spawn(|| delivery.finish(far()));
        assert_eq!(scene.requests.recv().unwrap(), [1], "without the pause");
        scene.answers.send(Err(busy())).unwrap();
        let finished = finished.join().unwrap();
        assert_eq!(finished.failure.as_deref(), Some("busy"));
    });
    // It has answered, so it can be reached.
    let said = scene.said();
    let first = said.first().map(String::as_str);
    assert_eq!(
        first,
        Some("http://c takes no telemetry now: busy; it is tried again")
    );
    assert_eq!(scene.undelivered(), [(1, 5)]);
}

#[test]
fn refused_records_are_those_of_the_only_probe() {
    let scene = Scene::new(Kept::All);
    let partial = |rejected, message: &str| {
        Ok(PartialSuccess {
            rejected,
            message: message.into(),
        })
    };
    scene.push(vec![1], &[(1, 5)]);
    scene.push(vec![2], &[(1, 5), (2, 5)]);
    scene.answers.send(partial(2, "too old")).unwrap();
    scene.answers.send(partial(3, "")).unwrap();
    let finished = scene.delivery.finish(far());
    assert_eq!((finished.failure, finished.refused_of_several), (None, 3));
    assert_eq!(scene.undelivered(), [(1, 2)]);
    assert_eq!(
        scene.said(),
        [
            "http://c refused 2 records: too old",
            "http://c refused 3 records"
        ]
    );
}

#[test]
fn newer_metrics_take_the_place_of_those_that_wait() {
    let scene = Scene::new(Kept::Newest);
    scene.push(vec![1], &[]);
    scene.requests.recv().unwrap();
    scene.push(vec![2], &[]);
    scene.push(vec![3], &[]);
    scene.answers.send(failure(true)).unwrap();
    assert_eq!(scene.requests.recv().unwrap(), [3]);
    scene.answers.send(Ok(PartialSuccess::default())).unwrap();
    assert_eq!(scene.delivery.finish(far()).failure, None);
}

#[test]
fn reading_goes_on_once_the_collector_has_taken_requests_and_stops_if_it_takes_none() {
    let scene = Scene::new(Kept::All);
    let soon = Duration::from_millis(50);
    assert!(scene.delivery.wait_below(1, soon), "nothing waits");
    for number in 0..3 {
        scene.push(vec![number], &[(1, 1)]);
    }
    assert!(scene.delivery.wait_below(4, soon), "there is room");
    assert!(!scene.delivery.wait_below(1, soon), "none is taken");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| scene.delivery.wait_below(1, Duration::from_secs(60)));
        for _ in 0..3 {
            scene.requests.recv().expect("a request");
            scene
                .answers
                .send(Ok(PartialSuccess::default()))
                .expect("a collector");
        }
        assert!(waiting.join().expect("it waits"), "all are taken");
    });
    assert_eq!(scene.undelivered(), []);
}
