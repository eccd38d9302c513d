//! Stuffed pipes: each direction waits for nobody but its own two ends.

use super::*;

const LENGTH: usize = 8 << 20;

/// Fills the way from `stream` until nothing moves any more; how much went in.
async fn stuff(stream: &mut TcpStream) -> usize {
    let piece = vec![b'x'; 1 << 16];
    let mut sent = 0;
    loop {
        // No event says that nothing will move: what does not move for so long on an idle relay is stuck.
        match timeout(Duration::from_millis(300), stream.write(&piece)).await {
            Ok(written) => sent += written.unwrap(),
            Err(_) => return sent,
        }
        assert!(sent < 1 << 30, "the relay takes without end");
    }
}

/// Sends `LENGTH` bytes one way.
async fn carry(from: &mut TcpStream, to: &mut TcpStream) {
    let bytes = pattern(3, LENGTH);
    let mut received = vec![0; LENGTH];
    let both = async { tokio::join!(from.write_all(&bytes), to.read_exact(&mut received)) };
    let (written, read) = timeout(PATIENCE, both).await.expect("the other direction is free");
    written.unwrap();
    read.unwrap();
    assert!(received == bytes, "every byte in its order");
}

#[tokio::test]
async fn a_direction_that_is_stuffed_does_not_hold_the_other() {
    let mut scene = Scene::new().await;
    let upward = stuff(&mut scene.client).await;
    carry(&mut scene.service, &mut scene.client).await;
    let downward = stuff(&mut scene.service).await;
    // Both are full now. Whoever reads gets all of it, in whichever order.
    for (to, length) in [(&mut scene.client, downward), (&mut scene.service, upward)] {
        let stuffed = read_exactly(to, length).await;
        assert!(stuffed.iter().all(|byte| *byte == b'x'));
    }
    let Scene { mut client, mut service, .. } = scene;
    carry(&mut client, &mut service).await;
    carry(&mut service, &mut client).await;
}

#[tokio::test]
async fn a_client_that_writes_all_before_it_reads_meets_a_service_that_does_both() {
    let Scene { mut client, mut service, relayed, .. } = Scene::new().await;
    let (upload, answer) = (pattern(1, LENGTH), pattern(2, LENGTH));
    let at_client = async {
        client.write_all(&upload).await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        received
    };
    let at_service = async {
        let (mut read, mut write) = service.split();
        let mut received = Vec::new();
        let writing = async {
            write.write_all(&answer).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let ((), result) = tokio::join!(writing, read.read_to_end(&mut received));
        result.map(|_| received).unwrap()
    };
    let both = async { tokio::join!(at_client, at_service) };
    let (at_client, at_service) = timeout(PATIENCE, both).await.expect("no lock-up");
    assert!(at_client == answer && at_service == upload);
    timeout(PATIENCE, relayed).await.expect("the relay ends").unwrap();
}

#[tokio::test]
async fn a_close_behind_stuffed_bytes_comes_after_the_last_of_them() {
    let mut scene = Scene::new().await;
    let sent = stuff(&mut scene.service).await;
    scene.service.shutdown().await.unwrap();
    // The other direction still works while the end waits behind the bytes.
    scene.client.write_all(POST).await.unwrap();
    assert_eq!(read_exactly(&mut scene.service, POST.len()).await, POST);
    assert_eq!(read_to_end(&mut scene.client).await.unwrap().len(), sent);
}

#[tokio::test]
async fn a_reset_frees_a_connection_whose_pipes_are_stuffed_both_ways() {
    let mut scene = Scene::new().await;
    stuff(&mut scene.client).await;
    stuff(&mut scene.service).await;
    reset(scene.client);
    let end = read_to_end(&mut scene.service).await.map(|bytes| bytes.len());
    assert_eq!(end.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
    timeout(PATIENCE, scene.relayed).await.expect("the relay ends").unwrap();
}
