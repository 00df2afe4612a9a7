//! Takes pictures of an agent's status page in light and in dark colours: `picture URL FOLDER` writes `FOLDER/page-light.png` and
//! `FOLDER/page-dark.png`. `make pictures` runs it.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use t0rn_agent_tests::browser::Browser;
use t0rn_agent_tests::wait::SOON;

/// In CSS pixels: what a README is shown in.
const WIDTH: u32 = 900;
/// The last section of the picture: what happened. Facts follow.
const LAST: &str = "section:has(> #marks)";
/// Both charts are drawn, and news arrives.
const DRAWN: &str =
    "document.body.dataset.link === 'live' && document.querySelectorAll('.chart .best[d^=M]').length === 2";

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let url = args.next().context("no URL")?;
    let folder = PathBuf::from(args.next().context("no folder")?);
    let program = Browser::program().context("no chromium: tests/tools/setup chromium gets it")?;
    let mut page = Browser::open(program, &url)?;
    page.wait_for(DRAWN, SOON)?;
    for colours in ["light", "dark"] {
        let picture = page.picture(WIDTH, colours, LAST)?;
        fs::write(folder.join(format!("page-{colours}.png")), picture)?;
    }
    Ok(())
}
