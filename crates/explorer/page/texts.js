"use strict";

// Every word of the interface in English and French; the tour has its own file.
const Texts = (() => {
    const TEXTS = {
        "page.title": ["A gradient travelling through time", "Un gradient remonte le temps"],
        "page.skip": ["Skip to the network", "Aller au réseau"],
        "scene.label": ["Scene", "Scène"],
        "view.label": ["View", "Vue"],
        "view.sweep": ["Sweep", "Balayage"],
        "view.flow": ["Flow", "Flux"],
        "view.cliff": ["Cliff", "Falaise"],
        "net.label": ["Network", "Réseau"],
        "net.units": ["{n} units", "{n} unités"],
        "net.unit": ["1 unit", "1 unité"],
        "tool.tour": ["Tour", "Visite"],
        "tool.theme": ["Light or dark", "Clair ou sombre"],
        "tool.lang": ["Français", "English"],
        "tool.export": ["Export", "Exporter"],
        "tool.settings": ["Settings", "Réglages"],
        "export.network.svg": ["Picture as SVG", "Image en SVG"],
        "export.network.png": ["Picture as PNG", "Image en PNG"],
        "export.table.svg": ["Table as SVG", "Tableau en SVG"],
        "export.table.png": ["Table as PNG", "Tableau en PNG"],
        "export.print": ["Print this slide", "Imprimer cette diapositive"],
        "export.failed": ["The browser could not draw the picture.", "Le navigateur n’a pas pu dessiner l’image."],
        "network.title": ["{name}, unrolled over {steps} time steps", "{name}, déroulé sur {steps} pas de temps"],
        "network.desc": [
            "Inputs x below, the state {parts} in the middle, outputs y and losses above: {losses}",
            "Entrées x en bas, état {parts} au milieu, sorties y et pertes en haut : {losses}",
        ],
        "gate.open": ["open", "ouverte"],
        "gate.shut": ["shut", "fermée"],
        "gate.candidate": ["candidate", "candidat"],
        "gate.mean": ["mean value", "valeur moyenne"],
        "gate.key": ["gate open ○, shut –", "porte ouverte ○, fermée –"],
        "rolled.step": ["Time step", "Pas de temps"],
        "rolled.ruler": ["Norm of ∂E/∂h at each time step; choose a step", "Norme de ∂E/∂h à chaque pas ; choisissez un pas"],
        "sweep.label": ["The sweep", "Le balayage"],
        "sweep.first": ["To the start", "Au début"],
        "sweep.back": ["Step back", "Un pas en arrière"],
        "sweep.play": ["Play", "Lecture"],
        "sweep.pause": ["Pause", "Pause"],
        "sweep.forward": ["Step forward", "Un pas en avant"],
        "sweep.last": ["To the end", "À la fin"],
        "sweep.speed": ["Speed", "Vitesse"],
        "sweep.position": ["Event of the sweep", "Événement du balayage"],
        "sweep.loss": ["Loss", "Perte"],
        "sweep.all": ["All", "Toutes"],
        "sweep.count": ["{n} of {total}", "{n} sur {total}"],
        "sweep.none": [
            "The single sweeps are left out ({reason}). Picture and table show the whole gradient.",
            "Les balayages un à un sont omis ({reason}). L’image et le tableau montrent tout le gradient.",
        ],
        "event.label": ["The current op", "L’opération en cours"],
        "event.start": ["Nothing has flowed yet", "Rien n’a encore remonté"],
        "event.start.text": [
            "The network has been computed forwards. Press play, or →, to send the gradient back through it.",
            "Le réseau a été calculé vers l’avant. Appuyez sur lecture, ou →, pour y faire remonter le gradient.",
        ],
        "event.step": ["t = {t}", "t = {t}"],
        "event.gate": ["gate {gate}", "porte {gate}"],
        "event.loss": ["sweep of {loss}", "balayage de {loss}"],
        "event.rule": ["Rule", "Règle"],
        "event.norule": ["This op has no documentation.", "Cette opération n’est pas documentée."],
        "event.value": ["Value", "Valeur"],
        "event.arrives": ["Arrives", "Arrive"],
        "event.leaves": ["Leaves", "Repart"],
        "event.to": ["to", "vers"],
        "event.term": ["a term of {p}", "un terme de {p}"],
        "event.spoken": [
            "Event {n} of {total}: {op} at {where}; arriving norm {norm}",
            "Événement {n} sur {total} : {op} en {where} ; norme reçue {norm}",
        ],
        "event.nothing": ["No tracked input: the gradient ends here.", "Aucune entrée suivie : le gradient s’arrête ici."],
        "event.complete": ["The gradient of {p} by this loss is complete.", "Le gradient de {p} par cette perte est complet."],
        "tensor.scalar": ["scalar", "scalaire"],
        "tensor.values": ["{n} values", "{n} valeurs"],
        "tensor.norm": ["norm", "norme"],
        "graph.cell": ["Ops of time step {t}", "Opérations du pas {t}"],
        "graph.loss": ["Ops of the output and loss of step {t}", "Opérations de la sortie et de la perte du pas {t}"],
        "graph.first": ["Ops of the first state", "Opérations de l’état initial"],
        "graph.empty": ["no op", "aucune opération"],
        "table.label": ["Terms of the gradient", "Termes du gradient"],
        "table.of": ["Terms of the gradient of", "Termes du gradient de"],
        "table.loss": ["loss", "perte"],
        "table.use": ["used at step", "utilisé au pas"],
        "table.outside": ["outside", "hors du temps"],
        "table.sum": ["sum", "somme"],
        "table.cell": ["term of {loss} through step {t}: norm {norm}", "terme de {loss} par le pas {t} : norme {norm}"],
        "table.pending": ["not made yet", "pas encore formé"],
        "table.sofar": ["Sum of the terms so far", "Somme des termes jusqu’ici"],
        "table.gradient": ["Gradient on the tape: {g}.", "Gradient sur la bande : {g}."],
        "table.norms": [
            "Cells show norms ‖·‖; norms of matrices do not add.",
            "Les cases montrent des normes ‖·‖ ; les normes de matrices ne s’ajoutent pas.",
        ],
        "table.powers": ["A number n in a cell stands for the norm’s power of ten, 10ⁿ.", "Un nombre n dans une case est la puissance de dix de la norme, 10ⁿ."],
        "table.residual": ["residual {r}", "résidu {r}"],
        "table.complete": [
            "All terms are made: |sum − gradient| is {r} of the largest entry.",
            "Tous les termes sont là : |somme − gradient| vaut {r} de la plus grande entrée.",
        ],
        "table.toolarge": [
            "The table has {n} cells; the picture shows the last {rows} losses.",
            "Le tableau a {n} cases ; on montre les {rows} dernières pertes.",
        ],
        "term.hint": [
            "Point at a term, or move to it with Tab and the arrows: its path through time lights up.",
            "Pointez un terme, ou allez-y avec Tab et les flèches : son chemin dans le temps s’éclaire.",
        ],
        "term.path": ["Path of the term", "Chemin du terme"],
        "term.norm": ["norm of the term", "norme du terme"],
        "term.factors": [
            "Jacobians on the way, largest and smallest singular value",
            "Jacobiennes en chemin, plus grande et plus petite valeur singulière",
        ],
        "term.none": [
            "No recurrent factor: the loss uses this step itself.",
            "Aucun facteur récurrent : la perte utilise ce pas lui-même.",
        ],
        "term.bound": ["product of the largest: {p}", "produit des plus grandes : {p}"],
        "flow.norms": ["Gradient that reaches each state", "Gradient reçu par chaque état"],
        "flow.norms.axis": ["|∂E/∂h_t|; dashed: |∂E/∂c_t|", "|∂E/∂h_t| ; en tirets : |∂E/∂c_t|"],
        "flow.growth": ["Growth per step back", "Croissance par pas en arrière"],
        "flow.growth.note": [
            "lines: |∂E/∂h_(t-1)| / |∂E/∂h_t|; dashes: spectral radius of U",
            "traits : |∂E/∂h_(t-1)| / |∂E/∂h_t| ; tirets : rayon spectral de U",
        ],
        "flow.gates": ["Gates of {name}", "Portes de {name}"],
        "flow.gates.note": [
            "line: mean value; filled: share of saturated units",
            "trait : valeur moyenne ; plein : part des unités saturées",
        ],
        "flow.influence": ["What remains of an input", "Ce qui reste d’une entrée"],
        "flow.influence.note": [
            "|∂h_s/∂x_t|: row s, column t; in small squares the power of ten",
            "|∂h_s/∂x_t| : ligne s, colonne t ; dans les petites cases la puissance de dix",
        ],
        "flow.step": ["time step t", "pas de temps t"],
        "flow.nothing": ["not computed for this scene", "non calculé pour cette scène"],
        "cliff.label": ["The cliff", "La falaise"],
        "cliff.note": [
            "E = (σ(h_50) − 0.7)² for h_t = w·σ(h_(t-1)) + b, over w and b (Pascanu et al. 2013)",
            "E = (σ(h_50) − 0,7)² pour h_t = w·σ(h_(t-1)) + b, selon w et b (Pascanu et al. 2013)",
        ],
        "cliff.plain": ["gradient descent", "descente de gradient"],
        "cliff.clipped": ["clipped at norm {threshold}", "écrêté à la norme {threshold}"],
        "cliff.plain.short": ["plain", "simple"],
        "cliff.clipped.short": ["clipped", "écrêté"],
        "cliff.turn": ["Turn the surface", "Tourner la surface"],
        "cliff.loss": ["Loss at each update", "Perte à chaque mise à jour"],
        "cliff.update": ["update", "mise à jour"],
        "cliff.out": ["leaves the picture", "sort de l’image"],
        "check.failed": ["The gradient check fails", "La vérification du gradient échoue"],
        "check.of": ["in the network {name}", "dans le réseau {name}"],
        "check.op": ["op", "opération"],
        "check.gate": ["gate", "porte"],
        "check.step": ["time step", "pas de temps"],
        "check.gradient": ["on random values: tape", "sur des valeurs au hasard : bande"],
        "check.difference": ["differences", "différences"],
        "check.looks": ["looks like", "ressemble à"],
        "check.show": ["Show the op", "Montrer l’opération"],
        "check.report": ["Full report", "Rapport complet"],
        "tour.label": ["Tour", "Visite"],
        "tour.slide": ["Slide {n}", "Diapo {n}"],
        "tour.back": ["Previous stop", "Étape précédente"],
        "tour.next": ["Next stop", "Étape suivante"],
        "tour.close": ["Leave the tour", "Quitter la visite"],
        "legend.label": ["norm", "norme"],
        "legend.zero": ["zero", "nul"],
        "legend.here": ["now", "en cours"],
        "legend.path": ["path", "chemin"],
        "settings.label": ["Compute another network", "Calculer un autre réseau"],
        "settings.cells": ["Cells", "Cellules"],
        "settings.steps": ["Time steps", "Pas de temps"],
        "settings.hidden": ["Hidden units", "Unités cachées"],
        "settings.scale": ["Scale of the recurrent weights", "Échelle des poids récurrents"],
        "settings.forget_bias": ["Forget bias", "Biais d’oubli"],
        "settings.seed": ["Seed", "Graine"],
        "settings.losses": ["Losses at steps (empty: all)", "Pertes aux pas (vide : tous)"],
        "settings.inputs": [
            "Inputs: a row a step, separated by “;” (empty: random)",
            "Entrées : une ligne par pas, séparées par « ; » (vide : au hasard)",
        ],
        "settings.busy": ["Computing …", "Calcul …"],
        "settings.number": ["{field}: “{value}” is not a number", "{field} : « {value} » n’est pas un nombre"],
        "settings.unreachable": ["The server does not answer: {error}", "Le serveur ne répond pas : {error}"],
        "settings.scene": ["Your network", "Votre réseau"],
        "keys.help": [
            "space plays, ← → step, Home and End jump, Shift + ← → a time step",
            "espace : lecture, ← → : pas, Début et Fin, Maj + ← → : un pas de temps",
        ],
    };

    let language = 0;

    function use(lang) {
        language = lang === "fr" ? 1 : 0;
        document.documentElement.lang = lang;
    }

    /** The text of a key; {name} is replaced by that value. */
    function t(key, values = {}) {
        const text = TEXTS[key];
        if (!text) throw new Error(`no text ${key}`);
        return text[language].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
    }

    /** A text of the data: a string, or one for each language. */
    const of = (text) => (typeof text === "string" ? text : (text?.[language === 1 ? "fr" : "en"] ?? ""));

    return { use, t, of, lang: () => (language === 1 ? "fr" : "en") };
})();
