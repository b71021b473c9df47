//! What a dashboard answers, to whom, and where it is.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use datacube_dashboard::Dashboard;

struct Answer {
    status: u16,
    headers: String,
    body: String,
}

/// One request; `extra` are further headers.
fn get(address: SocketAddr, path: &str, extra: &str) -> Answer {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
    let host = if extra.contains("Host:") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\n{host}{extra}Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (headers, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: headers[9..12].parse().unwrap(),
        headers: headers.to_owned(),
        body: body.to_owned(),
    }
}

#[test]
fn every_page_has_its_tables_without_a_script() {
    let (cluster, client) = common::cluster();
    let dashboard = Dashboard::options().port(0).start(&cluster).unwrap();
    let address = dashboard.address();
    assert!(address.ip().is_loopback());
    let small = common::Slow {
        shape: [2, 40, 40],
        work: std::time::Duration::ZERO,
        panics_at: Some([1, 30, 30]),
    };
    assert!(
        client
            .compute(&common::array("red", small, 20))
            .result()
            .is_err()
    );
    let inc = client.call().name("inc").map(0..10, |i| i + 1);
    client.gather(&inc).unwrap();
    for (page, parts) in [
        (
            "status",
            &[
                "LocalCluster demo &lt;1&gt;",
                "inc",
                "Task stream",
                "worker ",
            ][..],
        ),
        (
            "map",
            &["<rect class=\"failedcell\"", "20:40", "state failed"],
        ),
        ("workers", &["inproc://demo &lt;1&gt;/1", "Tasks done"]),
        (
            "errors",
            &["&lt;block 7&gt; of red.tif is truncated", "(1, 1, 1)"],
        ),
        ("graph", &["test.slow", "8 chunks"]),
        ("info", &["1.00 GiB", "json/snapshot"]),
    ] {
        let answer = get(address, &format!("/{page}"), "");
        assert_eq!(answer.status, 200, "{page}");
        for part in parts {
            assert!(answer.body.contains(part), "{part} in {}", answer.body);
        }
        assert!(
            answer.headers.contains("default-src 'none'"),
            "{}",
            answer.headers
        );
        // Nothing of anybody else's.
        let elsewhere = answer.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"));
    }
    assert_eq!(get(address, "/health", "").body, "ok");
    let metrics = get(address, "/metrics", "").body;
    assert!(
        metrics.contains("datacube_tasks_total{layer=\"inc\",state=\"done\"} 10\n"),
        "{metrics}"
    );
    let snapshot = get(address, "/json/snapshot", "").body;
    assert!(snapshot.contains("\"name\":\"demo <1>\""), "{snapshot}");
    for what in ["workers", "layers", "jobs", "errors", "stores", "spans"] {
        assert!(
            get(address, &format!("/json/{what}"), "")
                .body
                .starts_with('['),
            "{what}"
        );
    }
    assert_eq!(get(address, "/nothing", "").status, 404);
    assert_eq!(get(address, "/json/nothing", "").status, 404);
    let start = get(address, "/", "");
    assert_eq!(start.status, 303);
    assert!(
        start.headers.contains("location: ./status"),
        "{}",
        start.headers
    );
}

#[test]
fn updates_come_as_events_and_end_with_the_dashboard() {
    let (cluster, client) = common::cluster();
    let dashboard = Dashboard::options().port(0).start(&cluster).unwrap();
    let stream = TcpStream::connect(dashboard.address()).unwrap();
    write!(
        &stream,
        "GET /events?page=status HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
    let mut next = || lines.find(|line| line.starts_with("data: ")).unwrap();
    let first = next();
    for id in ["tiles", "progress", "stream", "memory", "stores"] {
        assert!(first.contains(&format!("\"{id}\":")), "{id} in {first}");
    }
    let inc = client.call().name("increment").map(0..10, |i| i + 1);
    client.gather(&inc).unwrap();
    // Only what changed is sent.
    let later = loop {
        let later = next();
        if later.contains("increment") {
            break later;
        }
    };
    assert!(!later.contains("\"stores\":"), "{later}");
    assert!(later.len() < 300_000, "{} bytes", later.len());
    dashboard.close();
    assert!(cluster.dashboard_link().is_none());
    assert_eq!(lines.find(|line| line.starts_with("data: ")), None);
}

#[test]
fn a_port_that_is_taken_is_a_warning() {
    let (cluster, _client) = common::cluster();
    let first = Dashboard::options().port(0).start(&cluster).unwrap();
    let port = first.address().port();
    assert!(first.warning().is_none());
    let second = Dashboard::options().port(port).start(&cluster).unwrap();
    assert_ne!(second.address().port(), port);
    let warning = second.warning().unwrap();
    assert!(
        warning.starts_with(&format!("port {port} is taken")),
        "{warning}"
    );
    assert_eq!(get(second.address(), "/health", "").status, 200);
}

#[test]
fn others_need_the_token() {
    let (cluster, _client) = common::cluster();
    let dashboard = Dashboard::options()
        .port(0)
        .address(Ipv4Addr::UNSPECIFIED)
        .start(&cluster)
        .unwrap();
    let address = dashboard.address();
    let (_, token) = dashboard.link().split_once("?token=").unwrap();
    assert_eq!(token.len(), 32);
    for path in [
        "/status",
        "/metrics",
        "/json/snapshot",
        "/events",
        "/app.js",
    ] {
        assert_eq!(get(address, path, "").status, 401, "{path}");
        let wrong = format!("{path}?token={}", "0".repeat(32));
        assert_eq!(get(address, &wrong, "").status, 401, "{path}");
    }
    assert_eq!(get(address, "/health", "").status, 200);
    let entered = get(address, &format!("/status?token={token}"), "");
    assert_eq!(entered.status, 303);
    assert!(
        entered.headers.contains("location: ./status\r\n"),
        "{}",
        entered.headers
    );
    let cookie = entered
        .headers
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    let pair = cookie.split(';').next().unwrap();
    let inside = get(address, "/status", &format!("Cookie: {pair}\r\n"));
    assert_eq!(inside.status, 200);
    let forged = format!("Cookie: {}x\r\n", pair);
    assert_eq!(get(address, "/status", &forged).status, 401);
}

#[test]
fn names_of_other_sites_are_refused_and_prefixes_kept() {
    let (cluster, _client) = common::cluster();
    let dashboard = Dashboard::options().port(0).start(&cluster).unwrap();
    let evil = get(
        dashboard.address(),
        "/json/snapshot",
        "Host: evil.example\r\n",
    );
    assert_eq!(evil.status, 403);
    assert_eq!(
        get(dashboard.address(), "/health", "Host: localhost\r\n").status,
        200
    );
    drop(dashboard);
    let dashboard = Dashboard::options()
        .port(0)
        .prefix("/dask/")
        .start(&cluster)
        .unwrap();
    assert!(
        dashboard.link().ends_with("/dask/status"),
        "{}",
        dashboard.link()
    );
    let page = get(dashboard.address(), "/dask/status", "Host: hub.example\r\n");
    assert_eq!(page.status, 200);
    // Links are relative, so they are right wherever the page is.
    assert!(page.body.contains("href=\"style.css\"") && page.body.contains("href=\"map\""));
    assert_eq!(get(dashboard.address(), "/status", "").status, 404);
}
