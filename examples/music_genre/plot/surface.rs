//! The pixels that pictures are drawn on.
//!
//! plotters' own bitmap surface draws lines without smoothing and places letters on whole pixels; this one smooths both.

use std::convert::Infallible;

use ab_glyph::{Font, FontRef, GlyphId, Point, ScaleFont, point};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

/// An RGB image, white at first.
pub(super) struct Surface<'a> {
    width: u32,
    height: u32,
    /// Row-major, three bytes a pixel.
    pixels: &'a mut [u8],
    font: FontRef<'static>,
}

type Done = Result<(), DrawingErrorKind<Infallible>>;

impl<'a> Surface<'a> {
    /// A surface over `pixels`, which are `3 * width * height` bytes and are made white.
    pub(super) fn new(pixels: &'a mut [u8], width: u32, height: u32, font: FontRef<'static>) -> Surface<'a> {
        pixels.fill(255);
        Surface { width, height, pixels, font }
    }

    /// Lays a colour over a pixel, which may lie outside; `cover` is the share of the pixel that is covered.
    fn cover(&mut self, x: i32, y: i32, colour: BackendColor, cover: f32) {
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return;
        }
        let at = 3 * (y as usize * self.width as usize + x as usize);
        let alpha = colour.alpha as f32 * cover.clamp(0.0, 1.0);
        let (r, g, b) = colour.rgb;
        for (pixel, over) in self.pixels[at..at + 3].iter_mut().zip([r, g, b]) {
            let under = f32::from(*pixel);
            *pixel = (under + alpha * (f32::from(over) - under)).round() as u8;
        }
    }

    /// Covers the pixels around a line through `points` by their distance from it, so that joints are round and every
    /// pixel is covered once.
    fn stroke(&mut self, points: &[BackendCoord], width: u32, colour: BackendColor) {
        let reach = width as f32 / 2.0 + 0.5;
        let margin = reach.ceil() as i32;
        let mut covers = std::collections::BTreeMap::new();
        for pair in points.windows(2) {
            let [(ax, ay), (bx, by)] = [pair[0], pair[1]];
            for y in (ay.min(by) - margin).max(0)..=(ay.max(by) + margin).min(self.height as i32 - 1) {
                for x in (ax.min(bx) - margin).max(0)..=(ax.max(bx) + margin).min(self.width as i32 - 1) {
                    let cover = reach - distance((x, y), (ax, ay), (bx, by));
                    if cover > 0.0 {
                        let most = covers.entry((y, x)).or_insert(0.0f32);
                        *most = most.max(cover);
                    }
                }
            }
        }
        for ((y, x), cover) in covers {
            self.cover(x, y, colour, cover);
        }
    }

    /// The glyphs of a text with the x at which each begins, and the width of the whole.
    fn set(&self, text: &str, size: f64) -> (Vec<(GlyphId, f32)>, f32) {
        let font = self.font.as_scaled(size as f32);
        let mut x = 0.0;
        let mut previous = None;
        let glyphs = text
            .chars()
            .map(|letter| {
                let glyph = font.glyph_id(letter);
                x += previous.map_or(0.0, |before| font.kern(before, glyph));
                previous = Some(glyph);
                let start = x;
                x += font.h_advance(glyph);
                (glyph, start)
            })
            .collect();
        (glyphs, x)
    }

    /// How far the capitals rise above the line.
    fn cap_height(&self, size: f64) -> f32 {
        let font = self.font.as_scaled(size as f32);
        let capital = font.scaled_glyph('H');
        font.outline_glyph(capital).map_or(0.6 * size as f32, |outline| -outline.px_bounds().min.y)
    }
}

/// The distance of a pixel from the segment a-b.
fn distance(p: BackendCoord, a: BackendCoord, b: BackendCoord) -> f32 {
    let vector = |from: BackendCoord, to: BackendCoord| ((to.0 - from.0) as f32, (to.1 - from.1) as f32);
    let (ab, ap) = (vector(a, b), vector(a, p));
    let length_squared = ab.0 * ab.0 + ab.1 * ab.1;
    let along =
        if length_squared == 0.0 { 0.0 } else { ((ap.0 * ab.0 + ap.1 * ab.1) / length_squared).clamp(0.0, 1.0) };
    (ap.0 - along * ab.0).hypot(ap.1 - along * ab.1)
}

impl DrawingBackend for Surface<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn ensure_prepared(&mut self) -> Done {
        Ok(())
    }

    fn present(&mut self) -> Done {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Done {
        self.cover(x, y, colour, 1.0);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Done {
        self.stroke(&[from, to], style.stroke_width(), style.color());
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Done {
        let points: Vec<BackendCoord> = path.into_iter().collect();
        self.stroke(&points, style.stroke_width(), style.color());
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, (x, y): BackendCoord, radius: u32, style: &S, _fill: bool) -> Done {
        let reach = radius as i32 + 1;
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let cover = radius as f32 + 0.5 - (dx as f32).hypot(dy as f32);
                self.cover(x + dx, y + dy, style.color(), cover);
            }
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Done {
        let size = style.size();
        let (glyphs, width) = self.set(text, size);
        let font = self.font.clone();
        let font = font.as_scaled(size as f32);
        let left = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width / 2.0,
            HPos::Right => -width,
        };
        let line = match style.anchor().v_pos {
            VPos::Top => font.ascent(),
            VPos::Center => self.cap_height(size) / 2.0,
            VPos::Bottom => font.descent(),
        };
        // Whole pixels upwards, so that level strokes stay sharp.
        let origin: Point = point(left, line.round());
        let transform = style.transform();
        for (glyph, x) in glyphs {
            let glyph = glyph.with_scale_and_position(size as f32, origin + point(x, 0.0));
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, cover| {
                let (x, y) = transform.transform(corner.x as i32 + x as i32, corner.y as i32 + y as i32);
                self.cover(at.0 + x, at.1 + y, style.color(), cover);
            });
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let (_, width) = self.set(text, style.size());
        Ok((width.ceil() as u32, style.size().ceil() as u32))
    }
}
