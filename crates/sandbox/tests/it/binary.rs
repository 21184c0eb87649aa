//! The binary: its first line, its stop, and what it says about a port that is taken.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rstest::rstest;

fn sandbox(listen: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_instagram-sandbox"))
        .env("SANDBOX_LISTEN", listen)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[rstest]
#[case::terminate("TERM")]
#[case::interrupt("INT")]
fn the_first_line_tells_the_address_and_a_signal_stops_it_cleanly(#[case] signal: &str) {
    let mut child = sandbox("127.0.0.1:0");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("sandbox listening on http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /sandbox/clock HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK") && answer.contains("{\"now\":\""), "{answer}");
    let idle = TcpStream::connect(address).unwrap();
    let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert!(child.wait().unwrap().success());
    drop(idle);
}

#[test]
fn a_taken_port_is_named_with_the_setting_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = sandbox(&address).wait_with_output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&address) && error.contains("SANDBOX_LISTEN"), "{error}");
}
