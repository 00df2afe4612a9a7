//! The images of a simulated registry and of its engines: how they are pulled, and what runs from them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::world::{SECOND, State, World};

/// The image that is there from the beginning.
pub(crate) const IMAGE: &str = "example/collator:1";
const GOOD: &str = "example/collator:2";
/// Its process ends soon after each start.
const BAD: &str = "example/collator:bad";
/// The registry does not know it.
const UNKNOWN: &str = "example/collator:unknown";
/// What operators update to.
pub(crate) const UPDATES: [&str; 4] = [GOOD, GOOD, BAD, UNKNOWN];

/// The id of an image, by its name or its id.
pub(crate) fn image_id(name: &str) -> String {
    if name.starts_with("sha256:") {
        return name.to_owned();
    }
    let sum = name
        .bytes()
        .fold(0u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    format!("sha256:{sum:0>64x}")
}

/// When a node of this image that starts now ends by itself.
pub(crate) fn lifetime(image: &str) -> Option<u64> {
    (image_id(image) == image_id(BAD)).then_some(5 * SECOND)
}

/// An image by name or id.
pub(crate) fn inspect(state: &mut State, host: usize, name: &str) -> Result<Value, (u16, String)> {
    let id = image_id(name);
    let images = &state.machine(host).engine.images;
    if images.iter().any(|image| image_id(image) == id) {
        Ok(json!({ "Id": id, "RepoDigests": [], "Architecture": "amd64", "Os": "linux" }))
    } else {
        Err((404, format!("No such image: {name}")))
    }
}

/// All that are here.
pub(crate) fn list(state: &mut State, host: usize) -> Value {
    let images = &state.machine(host).engine.images;
    let summary = |image: &String| {
        json!({
            "Id": image_id(image), "ParentId": "", "RepoTags": [image], "RepoDigests": [], "Created": 0, "Size": 0,
            "SharedSize": -1, "Labels": {}, "Containers": -1,
        })
    };
    images.iter().map(summary).collect()
}

/// Removes one that no container uses.
pub(crate) fn remove(state: &mut State, host: usize, name: &str) -> Result<Value, (u16, String)> {
    let (id, engine) = (image_id(name), &mut state.machine(host).engine);
    if engine
        .containers
        .iter()
        .any(|container| image_id(&container.image) == id)
    {
        return Err((409, "conflict: the image is being used".to_owned()));
    }
    engine.images.retain(|image| image_id(image) != id);
    Ok(json!([{ "Deleted": id }]))
}

/// Pulls an image; returns the engine's last word.
pub(crate) async fn pull(world: &World, host: usize, query: &HashMap<String, String>) -> Result<Value, (u16, String)> {
    let name = format!("{}:{}", query["fromImage"], query["tag"]);
    let takes = world.lock().dice.between(1, 40);
    sleep(Duration::from_secs(takes)).await;
    if name == UNKNOWN {
        return Err((404, format!("manifest for {name} not found: manifest unknown")));
    }
    let mut state = world.lock();
    let images = &mut state.machine(host).engine.images;
    if !images.contains(&name) {
        images.push(name);
    }
    Ok(json!({ "status": "Pull complete" }))
}

impl State {
    /// A life is over, twenty minutes after the last trouble: an update has ended well, or as if there had been none.
    pub(crate) fn judge_update(&mut self, wanted: bool) {
        if self.judge.watch.updating {
            self.blame("an update has not ended");
        }
        let container = self.machine(0).engine.containers.first();
        if wanted && container.is_some_and(|container| lifetime(&container.image).is_some()) {
            self.blame("an image that ends by itself was kept");
        }
    }
}
