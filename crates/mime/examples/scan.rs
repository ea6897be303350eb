//! How fast messages are scanned: `cargo run --release -p hikyaku-mime --example scan FILE…`
//!
//! Prints, over all files together, MB/s and microseconds a message for the structure and
//! the envelope, which every delivery waits for, and the same with the preview.
#![expect(clippy::print_stdout, reason = "the output of a program")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use hikyaku_mime::{Envelope, Header, Structure, text};

/// Long enough for a stable figure.
const RUN: Duration = Duration::from_secs(2);

fn main() -> std::io::Result<()> {
    let files: Vec<Vec<u8>> = std::env::args().skip(1).map(std::fs::read).collect::<Result<_, _>>()?;
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!("{} messages, {bytes} bytes", files.len());
    measure("structure and envelope", &files, |content| {
        let structure = Structure::parse(content);
        let header = Header::new(structure.root().header.of(content));
        black_box((Envelope::parse(header), &structure));
    });
    measure("with preview", &files, |content| {
        let structure = Structure::parse(content);
        let header = Header::new(structure.root().header.of(content));
        black_box((Envelope::parse(header), text::preview(content, &structure)));
    });
    Ok(())
}

fn measure(what: &str, files: &[Vec<u8>], scan: impl Fn(&[u8])) {
    let start = Instant::now();
    let (mut messages, mut bytes) = (0_usize, 0_usize);
    while !files.is_empty() && start.elapsed() < RUN {
        for content in files {
            scan(content);
            messages += 1;
            bytes += content.len();
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let each = seconds * 1e6 / messages.max(1) as f64;
    println!("{what}: {:.0} MB/s, {each:.1} µs a message", bytes as f64 / 1e6 / seconds);
}
