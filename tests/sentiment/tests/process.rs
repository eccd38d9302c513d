//! The command as a process: its ready line and its ends.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

fn start(args: &[&str]) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_understudy-sentiment"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("understudy-sentiment: listening on ").expect("the ready line");
    (child, address.parse().expect("an address"))
}

#[test]
fn the_ready_line_names_an_address_that_answers() {
    let (mut child, address) = start(&[]);
    TcpStream::connect(address).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_ends_in_order_when_its_parent_is_gone() {
    let (mut child, _) = start(&["--until-stdin-closes"]);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_ends_in_order_with_sigterm() {
    let (mut child, _) = start(&[]);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_taken_address_and_a_wrong_argument_have_their_own_codes() {
    let (mut child, address) = start(&[]);
    let run = |args: &[&str]| {
        let mut second = Command::new(env!("CARGO_BIN_EXE_understudy-sentiment"))
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        second.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (second.wait().unwrap().code(), said)
    };
    let (code, said) = run(&["--listen", &address.to_string()]);
    assert_eq!(code, Some(69));
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    assert_eq!(run(&["--fault", "explode=1"]).0, Some(64));
    child.kill().unwrap();
    child.wait().unwrap();
}
