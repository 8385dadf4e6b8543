//! The page: one HTML file with its style, its scripts and its data.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::data::Data;
use crate::error::{Error, Result};

const PAGE: &str = include_str!("../page/index.html");
const STYLE: &str = include_str!("../page/style.css");
/// In the order in which they are run.
const SCRIPTS: &[&str] = &[
    include_str!("../page/dom.js"),
    include_str!("../page/colour.js"),
    include_str!("../page/texts.js"),
    include_str!("../page/tour-texts.js"),
    include_str!("../page/model.js"),
    include_str!("../page/store.js"),
    include_str!("../page/address.js"),
    include_str!("../page/layout.js"),
    include_str!("../page/network.js"),
    include_str!("../page/rolled.js"),
    include_str!("../page/tensor.js"),
    include_str!("../page/graph.js"),
    include_str!("../page/details.js"),
    include_str!("../page/table.js"),
    include_str!("../page/terms.js"),
    include_str!("../page/player.js"),
    include_str!("../page/legend.js"),
    include_str!("../page/chart.js"),
    include_str!("../page/flow.js"),
    include_str!("../page/cliff.js"),
    include_str!("../page/check.js"),
    include_str!("../page/tour.js"),
    include_str!("../page/export.js"),
    include_str!("../page/settings.js"),
    include_str!("../page/controls.js"),
    include_str!("../page/main.js"),
];

/// Puts style, data and scripts in their places.
pub(crate) fn html(data: &Data) -> String {
    let json = serde_json::to_string(data).expect("numbers, texts and lists can always be written");
    let json = json.replace('<', "\\u003c");
    let scripts: String = SCRIPTS.iter().map(|script| format!("<script>\n{script}</script>\n")).collect();
    let parts = [
        ("<!-- style -->", format!("<style>\n{STYLE}</style>")),
        ("<!-- data -->", format!("<script type=\"application/json\" id=\"data\">{json}</script>")),
        ("<!-- scripts -->", scripts),
    ];
    let mut page = PAGE.to_owned();
    for (marker, part) in parts {
        page = page.replacen(marker, &part, 1);
    }
    page
}

/// Writes a temporary file beside `path`, and renames it when it is complete: a failure leaves what was there.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    written(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn written(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if fs::symlink_metadata(path).is_ok_and(|old| !old.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something that is no regular file"));
    }
    let mut builder = tempfile::Builder::new();
    // The permissions of a regular new file; by default a temporary file is private.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(kind)?;
    if let Ok(old) = fs::metadata(path) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// What kind of error it is, without the name of the temporary file, which the caller does not know.
fn kind(error: io::Error) -> io::Error {
    error.kind().into()
}
