//! Benchmarks: sealing and opening compared with the bare cipher, resolving a run's secrets, and a
//! `progress` message of 4 MB.
//!
//! `cargo compare` sets `CRITERION_HOME` and reads the estimates from that folder, and the bytes
//! that a message allocates from `allocated.json` in it.
#![allow(clippy::unwrap_used, reason = "a benchmark exits on any failure")]

mod clock;

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clock::{CpuTime, bytes};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use domain::Timestamp;
use domain::envelope::{DataKey, EncryptionContext, Envelope, PlainDataKey, seal};
use domain::ids::{SecretId, UserId};
use domain::name::SecretName;
use domain::platform::Platform;
use domain::ports::Randomness;
use domain::resolve::{SecretSelection, resolve};
use domain::secret::Secret;
use domain::settings::Settings;
use domain::value::SecretValue;
use futures_util::FutureExt as _;
use http_api::Answer;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// The measured sizes: a token, a licence, the largest value.
const SIZES: [(&str, usize); 3] = [("64 B", 64), ("4 KiB", 4 * 1024), ("32 KiB", 32 * 1024)];

/// The same randomness as in the functions. Their `runtime` crate is not linked: a program has one
/// allocator, and the one here counts bytes.
struct AwsLc(SystemRandom);

impl Randomness for AwsLc {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).unwrap();
    }
}

fn context() -> EncryptionContext {
    EncryptionContext {
        deployment: "production".into(),
        owner: "WS#7212345678901234".parse().unwrap(),
        secret: SecretId::new(8_991_356_704_887_834).unwrap(),
        name: SecretName::parse("SENTIEON_LICENSE_BASE64").unwrap(),
        version: 3,
    }
}

fn data_key() -> DataKey {
    DataKey { plain: PlainDataKey::new(&[7; 32]).unwrap(), encrypted: vec![5; 184] }
}

/// The whole envelope: derives keys, binds the context, pads and copies the value, zeroes
/// everything.
fn envelope(criterion: &mut Criterion<CpuTime>) {
    let (context, randomness) = (context(), AwsLc(SystemRandom::new()));
    for (operation, opens) in [("seal", false), ("open", true)] {
        let mut group = criterion.benchmark_group(operation);
        for (label, size) in SIZES {
            group.throughput(bytes(size));
            let value = SecretValue::new("x".repeat(size).into()).unwrap();
            let key = data_key();
            let sealed = seal(&value, &context, &key, &randomness).unwrap();
            group.bench_function(label, |bencher| match opens {
                false => bencher.iter(|| seal(black_box(&value), &context, &key, &randomness).unwrap()),
                true => bencher.iter(|| {
                    Envelope::parse(black_box(&sealed)).unwrap().open(&context, &key.plain).unwrap()
                }),
            });
        }
    }
}

/// The cipher alone: an existing key and buffer, and no copy.
fn cipher(criterion: &mut Criterion<CpuTime>) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let nonce = || Nonce::assume_unique_for_key([9; NONCE_LEN]);
    let mut group = criterion.benchmark_group("cipher-seal");
    for (label, size) in SIZES {
        group.throughput(bytes(size));
        let mut body = vec![b'x'; size];
        group.bench_function(label, |bencher| {
            bencher.iter(|| {
                key.seal_in_place_separate_tag(nonce(), Aad::empty(), black_box(&mut body)).unwrap()
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("cipher-open");
    for (label, size) in SIZES {
        group.throughput(bytes(size));
        let mut sealed = vec![b'x'; size];
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed).unwrap();
        // Opening is in place, so each iteration starts from a fresh copy, which is not measured.
        group.bench_function(label, |bencher| {
            bencher.iter_batched_ref(
                || sealed.clone(),
                |body| key.open_in_place(nonce(), Aad::empty(), black_box(body)).unwrap().len(),
                BatchSize::SmallInput,
            );
        });
    }
}

fn secrets(owner: &str) -> Vec<Secret> {
    let at: Timestamp = "2026-11-23T10:20:30Z".parse().unwrap();
    let user = UserId::new(1).unwrap();
    let secret = |number: i64| Secret {
        id: SecretId::new(number + 1).unwrap(),
        owner: owner.parse().unwrap(),
        name: SecretName::parse(&format!("SECRET_{number}")).unwrap(),
        version: 1,
        created: at,
        created_by: user,
        updated: at,
        updated_by: user,
        last_used: None,
        expires: None,
        description: None,
        properties: SecretValue::new("a value".to_owned().into()).unwrap().properties(),
    };
    (0..64).map(secret).collect()
}

/// 64 workspace secrets, each overridden by a user secret.
fn precedence(criterion: &mut Criterion<CpuTime>) {
    let (workspace, user) = (secrets("WS#42"), secrets("USER#7"));
    let now: Timestamp = "2026-11-23T10:20:30Z".parse().unwrap();
    let settings = Settings::new("production");
    criterion.bench_function("resolve", |bencher| {
        bencher.iter(|| {
            let selection = SecretSelection::default();
            resolve(&selection, black_box(&workspace), black_box(&user), Platform::AwsBatch, now, &settings)
                .unwrap()
        });
    });
}

/// Nextflow's `progress` message with a thousand tasks of 4 kB, as API Gateway delivers it.
fn message() -> Box<RawValue> {
    let task = json!({
        "taskId": 1, "status": "COMPLETED", "hash": "ab/cdef01", "name": "ALIGN (1)", "exit": 0,
        "script": "bwa mem \"ref.fa\" reads.fq\n".repeat(150),
    });
    let body = json!({ "progress": { "running": 0 }, "tasks": vec![task; 1_000] }).to_string();
    let event = json!({
        "version": "2.0", "routeKey": "PUT /trace/{workflowId}/progress",
        "headers": { "authorization": "Bearer eyJ0aWQiOiAwfQ==", "content-type": "application/json" },
        "pathParameters": { "workflowId": "ab12ABCDEFGHIJ" },
        "requestContext": { "http": { "method": "PUT", "path": "/trace/ab12ABCDEFGHIJ/progress" } },
        "body": body, "isBase64Encoded": false,
    });
    to_raw_value(&event).unwrap()
}

fn serve(settings: &Settings, message: &RawValue) {
    let handler = async |request: http_api::Request<'_>| {
        assert_eq!(request.path("workflowId"), "ab12ABCDEFGHIJ");
        Ok(Answer::json(200, &json!({ "status": "OK" })))
    };
    let served = http_api::serve(settings, message, handler).now_or_never().unwrap();
    black_box(served.answer);
}

fn progress(criterion: &mut Criterion<CpuTime>) {
    let (settings, message) = (Settings::new("production"), message());
    let allocated = allocation_counter::measure(|| serve(&settings, &message));
    if let Some(folder) = std::env::var_os("CRITERION_HOME") {
        let figures = json!({ "message": message.get().len(), "allocated": allocated.bytes_total });
        std::fs::write(std::path::Path::new(&folder).join("allocated.json"), figures.to_string()).unwrap();
    }
    let mut group = criterion.benchmark_group("progress");
    group.throughput(bytes(message.get().len()));
    group.bench_function("4 MB", |bencher| bencher.iter(|| serve(&settings, black_box(&message))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = envelope, cipher, precedence, progress
}
criterion_main!(benches);
