//! Draws a [`Screen`] with egui. It decides nothing.

use eframe::egui::{
    self, Align, Align2, Button, Color32, CornerRadius, FontId, Frame, Label, Layout, Margin, Rect,
    RichText, ScrollArea, Sense, Stroke, TextStyle, Ui, Vec2,
};

use crate::jobs::Person;
use crate::model::Press;
use crate::screen::{Banner, Scope, Screen, Tone};

/// As wide as text is still easy to read.
const COLUMN: f32 = 440.0;
const GAP: f32 = 16.0;

/// What was pressed, and where that was.
#[derive(Default)]
pub struct Painted {
    pub presses: Vec<Press>,
    pub switches_theme: bool,
    /// By the names that tests use.
    pub places: Vec<(String, Rect)>,
}

/// Set once.
pub fn set_style(ctx: &egui::Context) {
    ctx.all_styles_mut(|style| {
        let sizes = [
            (TextStyle::Heading, 24.0),
            (TextStyle::Body, 15.0),
            (TextStyle::Button, 15.0),
            (TextStyle::Small, 12.5),
            (TextStyle::Monospace, 12.5),
        ];
        for (text, size) in sizes {
            if let Some(font) = style.text_styles.get_mut(&text) {
                font.size = size;
            }
        }
        style.spacing.item_spacing = Vec2::new(8.0, 6.0);
        style.spacing.button_padding = Vec2::new(16.0, 9.0);
        let visuals = &mut style.visuals;
        for widget in [
            &mut visuals.widgets.inactive,
            &mut visuals.widgets.hovered,
            &mut visuals.widgets.active,
        ] {
            widget.corner_radius = CornerRadius::same(8);
            widget.expansion = 0.0;
        }
    });
    ctx.style_mut_of(egui::Theme::Light, |style| {
        style.visuals.panel_fill = Color32::from_rgb(0xf6, 0xf6, 0xf4);
        style.visuals.override_text_color = Some(Color32::from_rgb(0x22, 0x24, 0x26));
        style.visuals.weak_text_color = Some(Color32::from_rgb(0x5f, 0x63, 0x68));
    });
    ctx.style_mut_of(egui::Theme::Dark, |style| {
        style.visuals.panel_fill = Color32::from_rgb(0x1b, 0x1d, 0x1f);
        style.visuals.override_text_color = Some(Color32::from_rgb(0xe8, 0xe8, 0xe6));
        style.visuals.weak_text_color = Some(Color32::from_rgb(0xa2, 0xa6, 0xaa));
    });
}

/// The colours that egui has no name for.
struct Palette {
    card: Color32,
    line: Color32,
    strong: Color32,
    is_dark: bool,
}

impl Palette {
    fn of(ui: &Ui) -> Self {
        let is_dark = ui.visuals().dark_mode;
        let pick = |light, dark| if is_dark { dark } else { light };
        Self {
            card: pick(Color32::WHITE, Color32::from_rgb(0x25, 0x28, 0x2b)),
            line: pick(
                Color32::from_rgb(0xdd, 0xde, 0xdb),
                Color32::from_rgb(0x3a, 0x3e, 0x42),
            ),
            strong: Color32::from_rgb(0x1a, 0x7f, 0x4b),
            is_dark,
        }
    }

    fn tone(&self, tone: Tone) -> Color32 {
        let (light, dark) = match tone {
            Tone::Calm => ((0x6b, 0x70, 0x76), (0x9a, 0xa0, 0xa6)),
            Tone::Busy => ((0x1f, 0x6f, 0xd0), (0x6a, 0xae, 0xff)),
            Tone::Good => ((0x1a, 0x7f, 0x4b), (0x4c, 0xc3, 0x84)),
            Tone::Warning => ((0xa8, 0x62, 0x00), (0xf0, 0xb4, 0x4c)),
            Tone::Bad => ((0xb3, 0x26, 0x1e), (0xff, 0x8a, 0x80)),
        };
        let (r, g, b) = if self.is_dark { dark } else { light };
        Color32::from_rgb(r, g, b)
    }

    fn wash(&self, tone: Tone) -> Color32 {
        self.card
            .lerp_to_gamma(self.tone(tone), if self.is_dark { 0.14 } else { 0.08 })
    }
}

pub fn paint(ctx: &egui::Context, screen: &Screen, provider: &str) -> Painted {
    let mut painted = Painted::default();
    let panel = Frame::central_panel(&ctx.style()).inner_margin(Margin::same(0));
    egui::CentralPanel::default().frame(panel).show(ctx, |ui| {
        ScrollArea::vertical()
            .auto_shrink(false)
            .show(ui, |ui| column(ui, screen, provider, &mut painted));
    });
    painted
}

fn column(ui: &mut Ui, screen: &Screen, provider: &str, painted: &mut Painted) {
    let palette = Palette::of(ui);
    let width = COLUMN.min(ui.available_width() - 2.0 * GAP);
    let side = (ui.available_width() - width) / 2.0;
    ui.horizontal_top(|ui| {
        ui.add_space(side);
        ui.allocate_ui_with_layout(Vec2::new(width, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.set_width(width);
            ui.add_space(GAP);
            top(ui, provider, painted);
            ui.add_space(GAP);
            heading(ui, screen, &palette);
            if let Some(banner) = &screen.banner {
                ui.add_space(GAP);
                show_banner(ui, banner, &palette);
            }
            if let Some(person) = &screen.person {
                ui.add_space(GAP);
                card(ui, &palette, |ui| show_person(ui, person, &palette));
            }
            if let Some(link) = &screen.link {
                ui.add_space(GAP);
                card(ui, &palette, |ui| show_link(ui, link, painted));
            }
            if !screen.facts.is_empty() || !screen.scopes.is_empty() {
                ui.add_space(GAP);
                card(ui, &palette, |ui| facts(ui, screen, &palette));
            }
            if !screen.buttons.is_empty() {
                ui.add_space(GAP + 4.0);
                buttons(ui, screen, &palette, painted);
            }
            ui.add_space(2.0 * GAP);
        });
    });
}

fn top(ui: &mut Ui, provider: &str, painted: &mut Painted) {
    ui.horizontal(|ui| {
        let about = RichText::new(format!("With {provider}")).small().weak();
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let (sign, name) = match ui.visuals().dark_mode {
                true => ("☀", "Light"),
                false => ("🌙", "Dark"),
            };
            let theme = Button::new(RichText::new(sign).size(15.0)).frame(false);
            let theme = ui.add(theme).on_hover_text(name);
            painted.places.push(("theme".to_owned(), theme.rect));
            painted.switches_theme = theme.clicked();
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(Label::new(about).truncate());
            });
        });
    });
}

fn heading(ui: &mut Ui, screen: &Screen, palette: &Palette) {
    ui.horizontal(|ui| {
        let (place, _) = ui.allocate_exact_size(Vec2::new(22.0, 30.0), Sense::hover());
        // Text is lower than the middle of its line.
        let place = Rect::from_center_size(place.center() + Vec2::new(0.0, 1.0), Vec2::splat(22.0));
        let color = palette.tone(screen.tone);
        if screen.is_busy {
            egui::Spinner::new()
                .color(color)
                .paint_at(ui, place.shrink(2.0));
        } else {
            let painter = ui.painter();
            painter.circle_filled(place.center(), 10.0, palette.wash(screen.tone));
            painter.circle_filled(place.center(), 5.0, color);
        }
        ui.heading(RichText::new(&screen.heading).strong());
    });
    ui.add_space(4.0);
    ui.label(&screen.text);
}

fn card(ui: &mut Ui, palette: &Palette, content: impl FnOnce(&mut Ui)) {
    Frame::new()
        .fill(palette.card)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::same(14))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            content(ui);
        });
}

fn show_banner(ui: &mut Ui, banner: &Banner, palette: &Palette) {
    let color = palette.tone(banner.tone);
    Frame::new()
        .fill(palette.wash(banner.tone))
        .stroke(Stroke::new(1.0, color.gamma_multiply(0.5)))
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::same(14))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(&banner.title).color(color).strong());
            if !banner.text.is_empty() {
                ui.label(&banner.text);
            }
            if let Some(detail) = &banner.detail {
                ui.add_space(2.0);
                ui.label(RichText::new(detail).small().weak());
            }
        });
}

fn show_person(ui: &mut Ui, person: &Result<Person, String>, palette: &Palette) {
    ui.horizontal(|ui| {
        let (place, _) = ui.allocate_exact_size(Vec2::splat(40.0), Sense::hover());
        let (initial, tone) = match person {
            Ok(person) => (person.name.chars().next().unwrap_or('?'), Tone::Good),
            Err(_) => ('?', Tone::Warning),
        };
        ui.painter()
            .circle_filled(place.center(), 20.0, palette.wash(tone));
        ui.painter().text(
            place.center(),
            Align2::CENTER_CENTER,
            initial.to_uppercase(),
            FontId::proportional(18.0),
            palette.tone(tone),
        );
        ui.add_space(4.0);
        ui.vertical(|ui| match person {
            Ok(person) => {
                if person.detail.is_none() {
                    ui.add_space(9.0);
                }
                ui.label(RichText::new(&person.name).strong());
                if let Some(detail) = &person.detail {
                    ui.label(RichText::new(detail).small().weak());
                }
            }
            Err(why) => {
                ui.label(RichText::new("The API did not say who you are").strong());
                ui.label(RichText::new(why).small().weak());
            }
        });
    });
}

fn show_link(ui: &mut Ui, link: &str, painted: &mut Painted) {
    ui.label(RichText::new("The link, for another browser").strong());
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let copy = ui.add(Button::new("Copy link"));
            painted.places.push(("copy_link".to_owned(), copy.rect));
            if copy.clicked() {
                ui.ctx().copy_text(link.to_owned());
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let link = RichText::new(link).monospace().weak();
                ui.add(Label::new(link).truncate());
            });
        });
    });
}

fn facts(ui: &mut Ui, screen: &Screen, palette: &Palette) {
    for (name, value) in &screen.facts {
        ui.horizontal(|ui| {
            ui.label(RichText::new(*name).weak());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| ui.label(value));
        });
    }
    if !screen.scopes.is_empty() {
        if !screen.facts.is_empty() {
            ui.add_space(2.0);
        }
        ui.label(RichText::new("What you allowed").weak());
        ui.add_space(2.0);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = Vec2::new(6.0, 6.0);
            for scope in &screen.scopes {
                show_scope(ui, scope, palette);
            }
        });
    }
}

fn show_scope(ui: &mut Ui, scope: &Scope, palette: &Palette) {
    let (tone, text) = match scope.granted {
        true => (Tone::Good, scope.name.clone()),
        false => (Tone::Warning, format!("{} (not allowed)", scope.name)),
    };
    let color = palette.tone(tone);
    let chip = Button::new(RichText::new(text).size(12.5).color(color))
        .fill(palette.wash(tone))
        .stroke(Stroke::new(1.0, color.gamma_multiply(0.4)))
        .corner_radius(CornerRadius::same(12))
        .sense(Sense::hover());
    ui.scope(|ui| {
        ui.spacing_mut().button_padding = Vec2::new(10.0, 3.0);
        ui.add(chip);
    });
}

fn buttons(ui: &mut Ui, screen: &Screen, palette: &Palette, painted: &mut Painted) {
    ui.horizontal_wrapped(|ui| {
        for (at, &(press, words)) in screen.buttons.iter().enumerate() {
            let button = match at == 0 && is_meant(press) {
                true => {
                    Button::new(RichText::new(words).color(Color32::WHITE)).fill(palette.strong)
                }
                false => Button::new(words)
                    .fill(palette.card)
                    .stroke(Stroke::new(1.0, palette.line)),
            };
            let is_enabled = screen.disabled != Some(press);
            let response = ui.add_enabled(is_enabled, button);
            if is_enabled {
                painted.places.push((name(press).to_owned(), response.rect));
            }
            if response.clicked() {
                painted.presses.push(press);
            }
        }
    });
}

/// Whether a person is expected to press this, rather than free to.
fn is_meant(press: Press) -> bool {
    matches!(press, Press::LogIn | Press::SaveAgain)
}

fn name(press: Press) -> &'static str {
    match press {
        Press::LogIn => "log_in",
        Press::OpenAgain => "open_again",
        Press::Cancel => "cancel",
        Press::Refresh => "refresh",
        Press::AskAgain => "ask_again",
        Press::LogOut => "log_out",
        Press::SaveAgain => "save_again",
        Press::GoOnUnsaved => "go_on_unsaved",
    }
}
