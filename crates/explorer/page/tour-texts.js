"use strict";

// The stops of the tour, in the order of the lecture: its slide, the moment shown, a title and two sentences in English and
// French. `at` is the key of the element that the gradient has just
// reached in the sweep of the loss of step `sweep`; "start" is before all sweeps, "reached" after the last op of all.
const TourTexts = (() => {
    const lecture = { scene: "lecture", net: "tanh", view: "sweep", letter: "U" };
    const lstm = { ...lecture, net: "lstm", sweep: 2 };

    return [
        {
            ...lecture,
            slide: 19,
            at: "start",
            title: ["The network, unrolled", "Le réseau, déroulé"],
            text: [
                "One cell is copied once for each time step: x_t enters below, and h_t passes to the right. All copies share the same weights W, U and V.",
                "Une même cellule est copiée à chaque pas de temps : x_t entre par le bas, et h_t passe à droite. Toutes les copies partagent les mêmes poids W, U et V.",
            ],
        },
        {
            ...lecture,
            slide: 21,
            at: "start",
            mark: ["E:0", "E:1", "E:2", "e:y:E:0:0", "e:y:E:0:1", "e:y:E:0:2"],
            title: ["A target at every step", "Une cible à chaque pas"],
            text: [
                "Each output y_t is compared with its target and gives a loss E_t. What we want is the derivative of their sum with respect to U, which every step has used.",
                "Chaque sortie y_t est comparée à sa cible et donne une perte E_t. On cherche la dérivée de leur somme par rapport à U, dont chaque pas s’est servi.",
            ],
        },
        {
            ...lecture,
            slide: 22,
            sweep: 2,
            at: "E:2",
            title: ["∂E₂/∂U: the sweep begins", "∂E₂/∂U : le balayage commence"],
            text: [
                "The sweep starts at the last loss with ∂E₂/∂E₂ = 1. From here it visits the ops in the reverse of the order in which they were recorded.",
                "Le balayage part de la dernière perte avec ∂E₂/∂E₂ = 1. De là, il visite les opérations dans l’ordre inverse de leur enregistrement.",
            ],
        },
        {
            ...lecture,
            slide: 23,
            sweep: 2,
            at: "y:2",
            title: ["∂E₂/∂U: the output", "∂E₂/∂U : la sortie"],
            text: [
                "At y₂ the gradient splits: one part becomes the term of V, the other goes down to h₂. The card on the right shows both products.",
                "En y₂, le gradient se partage : une part devient le terme de V, l’autre descend vers h₂. La fiche de droite montre les deux produits.",
            ],
        },
        {
            ...lecture,
            slide: 24,
            sweep: 2,
            at: "s:0:2",
            title: ["∂E₂/∂U: through tanh", "∂E₂/∂U : à travers tanh"],
            text: [
                "At h₂ the gradient is multiplied by 1 − h₂², the slope of tanh. Where a unit is saturated, little of it gets through.",
                "En h₂, le gradient est multiplié par 1 − h₂², la pente de tanh. Là où une unité est saturée, il n’en passe presque rien.",
            ],
        },
        {
            ...lecture,
            slide: 25,
            sweep: 2,
            at: "w:U:2",
            term: "2,2",
            title: ["∂E₂/∂U: the first term", "∂E₂/∂U : le premier terme"],
            text: [
                "U was used in step 2, so it gets its first term there: h₁ᵀ times the gradient before tanh. The term stands in the table in row E₂, column t = 2.",
                "U a servi au pas 2 ; il y reçoit donc son premier terme : h₁ᵀ fois le gradient avant tanh. Ce terme est dans le tableau, ligne E₂, colonne t = 2.",
            ],
        },
        {
            ...lecture,
            slide: 26,
            sweep: 2,
            at: "s:0:1",
            title: ["∂E₂/∂U: a step back in time", "∂E₂/∂U : un pas en arrière"],
            text: [
                "Multiplied by Uᵀ, the gradient has gone back along the arrow to h₁. Compare its colour and number with those at h₂.",
                "Multiplié par Uᵀ, le gradient a remonté la flèche jusqu’à h₁. Comparez sa couleur et son nombre à ceux de h₂.",
            ],
        },
        {
            ...lecture,
            slide: 27,
            sweep: 2,
            at: "w:U:1",
            term: "2,1",
            title: ["∂E₂/∂U: the second term", "∂E₂/∂U : le deuxième terme"],
            text: [
                "The same U was used in step 1, and gets a second term of the same loss. Its path is lit in the network: one more factor ∂h₂/∂h₁.",
                "Le même U a servi au pas 1 et reçoit un deuxième terme de la même perte. Son chemin s’éclaire dans le réseau : un facteur ∂h₂/∂h₁ de plus.",
            ],
        },
        {
            ...lecture,
            slide: 28,
            sweep: 2,
            at: "w:U:0",
            term: "2,0",
            title: ["∂E₂/∂U: the last term", "∂E₂/∂U : le dernier terme"],
            text: [
                "In step 0, U multiplies the first state; if that is zero, so is this term. Row E₂ is complete: its sum is ∂E₂/∂U.",
                "Au pas 0, U multiplie l’état initial ; s’il est nul, ce terme l’est aussi. La ligne E₂ est complète : sa somme est ∂E₂/∂U.",
            ],
        },
        {
            ...lecture,
            slide: 29,
            sweep: 1,
            at: "w:U:0",
            term: "1,1",
            title: ["∂E₁/∂U", "∂E₁/∂U"],
            text: [
                "The loss of step 1 has its own sweep, which cannot reach step 2. Its row has two terms.",
                "La perte du pas 1 a son propre balayage, qui ne peut pas atteindre le pas 2. Sa ligne compte deux termes.",
            ],
        },
        {
            ...lecture,
            slide: 30,
            sweep: 0,
            at: "w:U:0",
            term: "0,0",
            title: ["∂E₀/∂U", "∂E₀/∂U"],
            text: [
                "The loss of step 0 has one term only. The table is a triangle, because no loss depends on the future.",
                "La perte du pas 0 n’a qu’un seul terme. Le tableau est un triangle, car aucune perte ne dépend du futur.",
            ],
        },
        {
            ...lecture,
            slide: 31,
            at: "reached",
            title: ["The sum", "La somme"],
            text: [
                "The gradient of U is the sum of all terms of the table. The line beside the table compares it with what one sweep over the whole tape gives: only rounding remains.",
                "Le gradient de U est la somme de tous les termes du tableau. La ligne à côté du tableau le compare à celui d’un seul balayage de toute la bande : il ne reste que l’arrondi.",
            ],
        },
        {
            scene: "chain",
            net: "most",
            view: "sweep",
            letter: "U",
            slide: 45,
            at: "reached",
            title: ["The gradient explodes", "Le gradient explose"],
            text: [
                "Here U = 10, so each step back multiplies the gradient by 10. Follow the numbers from right to left along the row of h.",
                "Ici U = 10 : chaque pas en arrière multiplie le gradient par 10. Suivez les nombres de droite à gauche le long de la ligne des h.",
            ],
        },
        {
            scene: "chain",
            net: "most",
            view: "cliff",
            letter: "U",
            slide: 46,
            at: "reached",
            title: ["The cliff, and clipping", "La falaise, et l’écrêtage"],
            text: [
                "An exploding gradient makes a cliff in the loss: one plain step from its edge throws the weights far away. Clipping keeps the direction and limits the length, so that path meets the wall again and again, and comes back into the valley.",
                "Un gradient qui explose creuse une falaise dans la perte : un seul pas ordinaire depuis son bord projette les poids au loin. L’écrêtage garde la direction et borne la longueur : ce chemin heurte le mur plusieurs fois et revient dans la vallée.",
            ],
        },
        {
            scene: "chain",
            net: "least",
            view: "sweep",
            letter: "U",
            slide: 47,
            at: "reached",
            title: ["The gradient vanishes", "Le gradient s’évanouit"],
            text: [
                "With U = 0.1, each step back divides the gradient by 10. After five steps, a hundred-thousandth of it is left, and the early inputs teach nothing.",
                "Avec U = 0,1, chaque pas en arrière divise le gradient par 10. Après cinq pas, il en reste un cent-millième, et les premières entrées n’apprennent rien.",
            ],
        },
        {
            scene: "chain",
            net: "least",
            view: "flow",
            letter: "U",
            slide: 48,
            at: "reached",
            title: ["Two straight lines", "Deux droites"],
            text: [
                "On a logarithmic scale, both gradients are straight lines: each step back multiplies them by the spectral radius of U. Above 1 they explode, below 1 they vanish.",
                "En échelle logarithmique, les deux gradients sont des droites : chaque pas en arrière les multiplie par le rayon spectral de U. Au-dessus de 1 ils explosent, au-dessous ils s’évanouissent.",
            ],
        },
        {
            scene: "memory",
            net: "tanh",
            view: "flow",
            letter: "U",
            slide: 50,
            at: "reached",
            title: ["The memory fades", "La mémoire s’efface"],
            text: [
                "Each map shows what remains at step s of the input at step t. In the tanh network the columns fade within a few steps; the gated cells keep them longer.",
                "Chaque carte montre ce qui reste, au pas s, de l’entrée du pas t. Dans le réseau tanh, les colonnes s’effacent en quelques pas ; les cellules à portes les gardent plus longtemps.",
            ],
        },
        {
            scene: "memory",
            net: "lstm",
            view: "sweep",
            letter: "U",
            slide: 51,
            at: "reached",
            title: ["Gates keep it", "Les portes la gardent"],
            text: [
                "A circle is an open gate, a dash a shut one. Where the forget gate stays open, the gradient runs along the row of c with little loss.",
                "Un cercle est une porte ouverte, un tiret une porte fermée. Là où la porte d’oubli reste ouverte, le gradient court le long de la ligne des c presque sans perte.",
            ],
        },
        {
            ...lstm,
            slide: 52,
            at: "s:0:2",
            title: ["The LSTM: two states", "Le LSTM : deux états"],
            text: [
                "An LSTM carries two states through time: the output h above and the memory c below. The graph on the right shows every op of one step.",
                "Un LSTM porte deux états à travers le temps : la sortie h en haut et la mémoire c en bas. Le graphe de droite montre toutes les opérations d’un pas.",
            ],
        },
        {
            ...lstm,
            slide: 53,
            at: "g:f:2",
            title: ["The forget gate", "La porte d’oubli"],
            text: [
                "The forget gate f multiplies the old memory c₁, entry by entry. Its own gradient is what arrives at c₂ times c₁: it learns where keeping would have helped.",
                "La porte d’oubli f multiplie l’ancienne mémoire c₁, entrée par entrée. Son propre gradient est ce qui arrive en c₂ fois c₁ : elle apprend où garder aurait servi.",
            ],
        },
        {
            ...lstm,
            slide: 54,
            at: "g:i:2",
            title: ["The input gate", "La porte d’entrée"],
            text: [
                "The input gate i decides how much of the candidate is written. Its gradient is scaled by i·(1 − i), so a gate that is fully open or shut hardly learns.",
                "La porte d’entrée i décide combien du candidat est écrit. Son gradient est multiplié par i·(1 − i) : une porte tout à fait ouverte ou fermée n’apprend presque plus.",
            ],
        },
        {
            ...lstm,
            slide: 55,
            at: "g:g:2",
            title: ["The candidate", "Le candidat"],
            text: [
                "The candidate g is the new content, between −1 and 1. It receives the gradient of the memory times the input gate: what is not written gets no blame.",
                "Le candidat g est le nouveau contenu, entre −1 et 1. Il reçoit le gradient de la mémoire fois la porte d’entrée : ce qui n’est pas écrit n’est pas corrigé.",
            ],
        },
        {
            ...lstm,
            slide: 56,
            at: "s:1:2",
            title: ["The cell update", "La mise à jour de la mémoire"],
            text: [
                "The memory is a sum, c₂ = f∘c₁ + i∘g, and a sum passes its gradient on unchanged. No weight and no tanh lies between c₂ and c₁.",
                "La mémoire est une somme, c₂ = f∘c₁ + i∘g, et une somme transmet son gradient tel quel. Il n’y a ni poids ni tanh entre c₂ et c₁.",
            ],
        },
        {
            ...lstm,
            slide: 57,
            at: "g:o:2",
            title: ["The output gate", "La porte de sortie"],
            text: [
                "The output gate o chooses what of tanh c₂ becomes h₂. Going back, it also chooses how much of the loss reaches the memory in this step.",
                "La porte de sortie o choisit ce qui, de tanh c₂, devient h₂. Au retour, elle choisit aussi la part de la perte qui atteint la mémoire à ce pas.",
            ],
        },
        {
            ...lstm,
            slide: 58,
            at: "s:1:1",
            title: ["A step back along the memory", "Un pas en arrière par la mémoire"],
            text: [
                "The gradient is now complete at c₁: along the row of c it was multiplied by f alone. The rest came through h₁, which it reached through U and the slopes of the gates.",
                "Le gradient est maintenant complet en c₁ : le long de la ligne des c, il n’a été multiplié que par f. Le reste est venu par h₁, atteint par U et les pentes des portes.",
            ],
        },
        {
            ...lstm,
            slide: 59,
            at: "w:U:1",
            term: "2,1",
            title: ["The weights of all gates", "Les poids de toutes les portes"],
            text: [
                "One product computes all four gates, so U gets one term for each step. Its columns, in the order i, f, g, o, are the terms of the gates.",
                "Un seul produit calcule les quatre portes ; U reçoit donc un terme par pas. Ses colonnes, dans l’ordre i, f, g, o, sont les termes des portes.",
            ],
        },
        {
            ...lecture,
            net: "gru",
            slide: 60,
            sweep: 2,
            at: "s:0:1",
            title: ["The GRU", "Le GRU"],
            text: [
                "The GRU has no second state: its gate z mixes the old h with the candidate n. With z near 1 the gradient goes straight back to h₁, as along the memory of an LSTM.",
                "Le GRU n’a pas de second état : sa porte z mélange l’ancien h et le candidat n. Avec z proche de 1, le gradient revient droit en h₁, comme le long de la mémoire d’un LSTM.",
            ],
        },
    ];
})();
