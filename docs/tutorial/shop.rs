//! A small shop with three bugs, for the tutorial.
//!
//! It answers requests over TCP, one line each. It brings three customers of its own, and
//! prints once a second how it is doing. Its functions are small: `#[inline(never)]` keeps
//! them apart in an optimised build, as larger ones would be.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Items and their prices in cents.
const PRICES: [(&str, u64); 4] = [
    ("desk", 24_900),
    ("desk lamp", 3_900),
    ("mug", 900),
    ("chair", 12_500),
];

struct Request {
    customer: String,
    kind: Kind,
    item: String,
    quantity: i64,
    coupon: Option<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Price,
    Order,
    Track,
}

#[derive(Clone, Copy)]
enum Refusal {
    UnknownItem,
    CardDeclined,
    NotSupported,
}

struct CacheEntry {
    item: String,
    cents: u64,
    uses: u64,
}

#[derive(Default)]
struct Shop {
    cache: Mutex<Vec<CacheEntry>>,
    /// Pieces that are held for orders which are not paid yet.
    held: AtomicI64,
    requests: AtomicU64,
    /// Requests that were refused, for each reason.
    refused: [AtomicU64; 3],
    slowest_us: AtomicU64,
}

impl Shop {
    #[inline(never)]
    fn answer(&self, request: &Request) -> Result<u64, Refusal> {
        let result = match request.kind {
            Kind::Price => self.price(request).ok_or(Refusal::UnknownItem),
            Kind::Order => self.order(request),
            Kind::Track => Err(Refusal::NotSupported),
        };
        if let Err(why) = result {
            self.refuse(why);
        }
        result
    }

    /// The price of an item, in cents, less what the coupon takes off.
    #[inline(never)]
    fn price(&self, request: &Request) -> Option<u64> {
        let cents = self.list_price(&request.item)?;
        let percent = match &request.coupon {
            Some(code) => discount(code),
            None => 0,
        };
        Some(cents - cents * percent / 100)
    }

    /// The price of an item, from the cache if it was asked for before.
    #[inline(never)]
    fn list_price(&self, item: &str) -> Option<u64> {
        let mut cache = self.cache.lock().unwrap();
        for entry in cache.iter_mut() {
            if entry.item.starts_with(item) {
                entry.uses += 1;
                return Some(entry.cents);
            }
        }
        let (_, cents) = PRICES.iter().find(|(name, _)| *name == item)?;
        cache.push(CacheEntry {
            item: item.to_string(),
            cents: *cents,
            uses: 0,
        });
        Some(*cents)
    }

    /// Sells something, and says what it costs.
    #[inline(never)]
    fn order(&self, request: &Request) -> Result<u64, Refusal> {
        let cents = match self.price(request) {
            Some(cents) => cents * request.quantity as u64,
            None => return Err(Refusal::UnknownItem),
        };
        self.held.fetch_add(request.quantity, Relaxed);
        if !charge(&request.customer, cents) {
            return Err(Refusal::CardDeclined);
        }
        self.held.fetch_sub(request.quantity, Relaxed);
        Ok(cents)
    }

    #[inline(never)]
    fn refuse(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }
}

/// The discount of a coupon, in percent.
#[inline(never)]
fn discount(code: &str) -> u64 {
    for attempt in 1..=3 {
        if let Some(percent) = ask_partner(code) {
            return percent;
        }
        // The partner may be busy: once more in a moment.
        pause(attempt);
    }
    0
}

/// Questions to the partner.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Asks the partner who gives out the coupons.
#[inline(never)]
fn ask_partner(code: &str) -> Option<u64> {
    let percent = match code {
        "HELLO" => Some(5),
        "FRIEND" => Some(10),
        _ => None,
    };
    ASKED.fetch_add(1, Relaxed);
    percent
}

/// Waits a while, longer each time.
#[inline(never)]
fn pause(attempt: u64) {
    thread::sleep(Duration::from_millis(10 * attempt));
}

/// Takes the money from the customer's card.
#[inline(never)]
fn charge(customer: &str, cents: u64) -> bool {
    !(customer == "cyd" && cents > 20_000)
}

/// Answers the requests of one connection.
fn serve(shop: &Shop, mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let begin = Instant::now();
        let answer = handle(shop, &line);
        let took = begin.elapsed().as_micros() as u64;
        shop.requests.fetch_add(1, Relaxed);
        shop.slowest_us.fetch_max(took, Relaxed);
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Answers one request.
#[inline(never)]
fn handle(shop: &Shop, line: &str) -> String {
    let Some(request) = parse(line) else {
        return "400\n".to_string();
    };
    match shop.answer(&request) {
        Ok(cents) => format!("200 {cents}\n"),
        Err(Refusal::UnknownItem) => "404\n".to_string(),
        Err(Refusal::CardDeclined) => "402\n".to_string(),
        Err(Refusal::NotSupported) => "501\n".to_string(),
    }
}

/// Reads a request, such as `ada order desk lamp,2,HELLO`.
fn parse(line: &str) -> Option<Request> {
    let mut words = line.splitn(3, ' ');
    let customer = words.next()?.to_string();
    let kind = match words.next()? {
        "price" => Kind::Price,
        "order" => Kind::Order,
        "track" => Kind::Track,
        _ => return None,
    };
    let mut fields = words.next()?.split(',');
    Some(Request {
        customer,
        kind,
        item: fields.next()?.to_string(),
        quantity: fields.next()?.parse().ok()?,
        coupon: fields.next().map(str::to_string),
    })
}

fn main() {
    let shop = Arc::new(Shop::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    println!("shop {} on {address}", std::process::id());
    let wrong = Arc::new(AtomicU64::new(0));
    for name in ["ada", "ben", "cyd"] {
        let wrong = Arc::clone(&wrong);
        let stream = TcpStream::connect(address).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let shop = Arc::clone(&shop);
        let worker = thread::Builder::new().name(format!("worker-{name}"));
        worker.spawn(move || serve(&shop, connection)).unwrap();
        let customer = thread::Builder::new().name(name.to_string());
        customer.spawn(move || buy(name, stream, &wrong)).unwrap();
    }
    for second in 1.. {
        thread::sleep(Duration::from_secs(1));
        println!(
            "{second} s: {} requests, {} wrong prices, slowest {} ms, {} pieces held",
            shop.requests.load(Relaxed),
            wrong.load(Relaxed),
            shop.slowest_us.swap(0, Relaxed) / 1_000,
            shop.held.load(Relaxed),
        );
    }
}

/// A customer, who knows what a desk costs.
fn buy(name: &str, mut stream: TcpStream, wrong: &AtomicU64) {
    let requests = [
        "price mug,1",
        "price desk lamp,1",
        "price desk,1",
        "order mug,4,HELLO",
        "price chair,1",
        "track order,1",
        "price desk,1",
        "order mug,1,HELLO",
        "price mug,1,SUMMER",
        "order chair,2",
        "price desk lamp,1,FRIEND",
        "price sofa,1",
        "price mug,1",
        "track order,1",
        "order desk lamp,2",
        "price desk lamp,1",
        "price chair,1",
    ];
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    for request in requests.iter().cycle() {
        let line = format!("{name} {request}\n");
        stream.write_all(line.as_bytes()).unwrap();
        let answer = answers.next().unwrap().unwrap();
        if *request == "price desk,1" && answer != "200 24900" {
            wrong.fetch_add(1, Relaxed);
        }
        thread::sleep(Duration::from_millis(5));
    }
}
