//! Logs and traces for `headgate replay`, in every format that has lines, and the guess at the format. Promise: no
//! panic; each line is counted once, damage with its number, and what is recorded is bounded by what was read.

use headgate_lab::replay::format::{Csv, Format, Json, Parser};
use headgate_lab::replay::read::{lines, words};
use headgate_lab::replay::trace::Recorder;

pub const SEEDS: &[&[u8]] = &[
    b"10.0.0.1 - ann [31/Jan/2026:23:59:59 +0000] \"GET /a?x=1 HTTP/1.1\" 200 1234 \"-\" \"a \\\"b\\\"\"\n",
    b"Feb  6 12:14:14 h haproxy[1]: 10.0.1.2:3 [06/Feb/2009:12:14:14.655] in s/1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 \"GET /a HTTP/1.1\"\n",
    b"{\"method\":\"GET\",\"host\":\"a.test\",\"path\":\"/a\",\"status\":200,\"bytes_out\":1234,\"duration_us\":5100}\n",
    b"time,op,size,lbn\n1,2a,512,42932745\n\"x\"\"y\",,3,4\n",
    b"*\n12\n13\n",
    b"1 0 68\n2 1 7454\n",
    b"1 3 0 0\n18446744073709551615 65536 0 1\n",
];

pub fn run(data: &[u8]) {
    let _ = Format::guess(data);
    let parsers = [
        Parser::Access,
        Parser::Haproxy,
        Parser::Json(Json::default()),
        Parser::Csv(Csv::default()),
        Parser::Keys,
        Parser::Sized,
        Parser::Arc,
    ];
    let most_lines = data.split(|&byte| byte == b'\n').count() as u64;
    for mut parser in parsers {
        let mut recorder = Recorder::new(false);
        let tally = lines(&mut &*data, &mut parser, true, &mut recorder, &mut |_| {});
        assert_eq!(tally.requests, recorder.len() as u64 + recorder.left_out);
        assert!(tally.damaged <= most_lines && tally.examples.len() <= 5);
        assert!(tally.examples.iter().all(|(number, ..)| (1..=most_lines).contains(number)));
    }
    for format in [Format::U32, Format::I64] {
        let mut recorder = Recorder::new(true);
        let tally = words(&mut &*data, format, &mut recorder, &mut |_| {});
        assert!(recorder.len() <= data.len() / 4 && tally.damaged <= 1);
    }
}
