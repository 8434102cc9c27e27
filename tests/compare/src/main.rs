//! x
mod aws;
mod error;
mod function;
mod growth;
mod install;
mod scene;
mod stage;
mod starts;
mod stats;

use std::path::Path;

#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) cold: usize,
    pub(crate) warm: usize, pub(crate) growth: usize, pub(crate) quota: std::time::Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let local = tokio::task::LocalSet::new();
    if let Err(error) = local.run_until(go()).await {
        println!("error: {error}");
    }
}

async fn go() -> error::Result<()> {
    let root = Path::new("/work/main");
    let peers = install::ready(root);
    println!("{:?}", peers.missing);
    let folder = tempfile::tempdir().unwrap();
    let aws = aws::Aws::start(folder.path()).await?;
    let stage = stage::Stage::set(aws, folder.path(), Path::new("/work/main/target/release")).await?;
    let effort = Effort { cold: 10, warm: 50, growth: 5, quota: std::time::Duration::from_secs(5) };
    let t = std::time::Instant::now();
    println!("{:#?} {:?}", growth::measure(&stage, effort).await?, t.elapsed());
    let scenes = scene::Scene::all(&stage).await?;
    for f in starts::measure(&stage, &scenes, &peers, effort).await? {
        println!(
            "{:14} {:7} init {} first {} cold {} wall {} warm {} wall {} rss {:.1}",
            f.function,
            f.who.name(),
            f.init_cpu,
            f.first_cpu,
            f.cold_cpu,
            f.cold_wall,
            f.warm_cpu,
            f.warm_wall,
            f.peak_mb
        );
    }
    Ok(())
}
