use super::*;

fn noise(rng: &mut StdRng) -> f64 {
    // Exponential: latencies have a tail.
    -(1.0 - rng.random::<f64>()).ln()
}

/// An autoregressive series: neighbours resemble each other, as in a queue.
fn queueing(rng: &mut StdRng, n: usize, memory: f64) -> Vec<f64> {
    let mut level = 0.0;
    (0..n)
        .map(|_| {
            level = memory * level + (1.0 - memory) * noise(rng);
            level + 0.1 * noise(rng)
        })
        .collect()
}

#[test]
fn the_same_seed_draws_the_same_intervals_and_another_seed_others() {
    let mut rng = StdRng::seed_from_u64(1);
    let values = vec![queueing(&mut rng, 600, 0.5), queueing(&mut rng, 600, 0.5)];
    let series = Series { values, iterations: 2 };
    let draw = |seed| {
        let design = Design::new(300, 4, 50.0, seed);
        Draws::new(&design, &series, &[0.5, 0.95]).difference(0, 1, 1, 0.95)
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn identical_candidates_do_not_differ_at_all() {
    let mut rng = StdRng::seed_from_u64(2);
    let values = queueing(&mut rng, 500, 0.9);
    let series = Series { values: vec![values.clone(), values], iterations: 1 };
    let draws = Draws::new(&Design::new(500, 2, 10.0, 1), &series, &[0.5, 0.9, 0.99]);
    for quantile in 0..3 {
        assert_eq!(draws.difference(0, 1, quantile, 0.95), (0.0, 0.0));
    }
}

#[test]
fn a_constant_shift_is_found_exactly_however_noisy_the_exchanges() {
    let mut rng = StdRng::seed_from_u64(3);
    let base: Vec<f64> = (0..400).map(|_| 100.0 * noise(&mut rng)).collect();
    let shifted = base.iter().map(|v| v + 7.0).collect();
    let series = Series { values: vec![shifted, base], iterations: 1 };
    let draws = Draws::new(&Design::new(400, 2, 10.0, 1), &series, &[0.95]);
    let (low, high) = draws.difference(0, 1, 0, 0.95);
    assert!((low - 7.0).abs() < 1e-9 && (high - 7.0).abs() < 1e-9, "{low} {high}");
}

#[test]
fn two_runs_of_the_same_thing_are_rarely_called_different() {
    // 200 A/A experiments at 95 %: about 10 false alarms are expected. Neighbours are correlated, which would break
    // a bootstrap of single requests.
    let mut rng = StdRng::seed_from_u64(4);
    let mut alarms = 0;
    for seed in 0..200 {
        let values = vec![queueing(&mut rng, 600, 0.8), queueing(&mut rng, 600, 0.8)];
        let design = Design { resamples: 400, ..Design::new(600, 2, 20.0, seed) };
        let draws = Draws::new(&design, &Series { values, iterations: 1 }, &[0.95]);
        let (low, high) = draws.difference(0, 1, 0, 0.95);
        alarms += usize::from(low > 0.0 || high < 0.0);
    }
    assert!(alarms <= 24, "{alarms} of 200 A/A experiments were called different");
}

#[test]
fn a_real_difference_is_found_as_often_as_it_should() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut found = 0;
    for seed in 0..50 {
        let slow = queueing(&mut rng, 600, 0.5).iter().map(|v| v * 1.3).collect();
        let values = vec![slow, queueing(&mut rng, 600, 0.5)];
        let design = Design { resamples: 400, ..Design::new(600, 2, 20.0, seed) };
        let draws = Draws::new(&design, &Series { values, iterations: 1 }, &[0.95]);
        found += usize::from(draws.difference(0, 1, 0, 0.95).0 > 0.0);
    }
    assert!(found >= 45, "only {found} of 50 slowdowns by 30 % were found");
}

#[test]
fn quantiles_among_failures_are_infinite_and_do_not_differ_from_each_other() {
    let failing = vec![f64::INFINITY; 200];
    let fine = vec![1.0; 200];
    let series = Series { values: vec![failing.clone(), fine, failing], iterations: 1 };
    let draws = Draws::new(&Design::new(200, 3, 1.0, 1), &series, &[0.5]);
    assert_eq!(draws.interval(0, 0, 0.95), (f64::INFINITY, f64::INFINITY));
    assert_eq!(draws.difference(0, 1, 0, 0.95), (f64::INFINITY, f64::INFINITY));
    assert_eq!(draws.difference(0, 2, 0, 0.95), (0.0, 0.0));
}

#[test]
fn an_exchange_comes_with_all_its_iterations() {
    // Ten exchanges, each with one latency that never varies: a hundred iterations teach nothing new about traffic.
    let one: Vec<f64> = (0..10).map(f64::from).collect();
    let many: Vec<f64> = one.iter().flat_map(|v| std::iter::repeat_n(*v, 100)).collect();
    let width = |values: Vec<f64>, iterations| {
        let series = Series { values: vec![values], iterations };
        let design = Design { block: 1, ..Design::new(10, 1, 0.0, 1) };
        let (low, high) = Draws::new(&design, &series, &[0.5]).interval(0, 0, 0.95);
        high - low
    };
    assert_eq!(width(many, 100), width(one, 1));
}

#[test]
fn the_interval_of_a_mean_covers_it() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut covered = 0;
    for seed in 0..200 {
        let values: Vec<f64> = (0..300).map(|_| noise(&mut rng)).collect();
        let design = Design { resamples: 400, ..Design::new(300, 1, 0.0, seed) };
        let (low, high) = design.mean_interval(&values, 0.95);
        covered += usize::from((low..=high).contains(&1.0));
    }
    assert!((180..=200).contains(&covered), "{covered} of 200 intervals hold the mean");
}

#[test]
fn blocks_are_as_long_as_a_queue_lasts_where_the_series_allows_it() {
    assert_eq!(Design::new(1_000, 1, 0.0, 0).block, 10);
    assert_eq!(Design::new(6_000, 1, 100.0, 0).block, 100);
    assert_eq!(Design::new(600, 1, 100.0, 0).block, 20);
    assert_eq!(Design::new(1, 1, 100.0, 0).block, 1);
    assert_eq!(Design::new(100, 2, 1.0, 0).resamples, 2_000);
    assert_eq!(Design::new(10_000_000, 2, 1.0, 0).resamples, 200);
}
