"""What a tile can show: one small drawing per motif, on a canvas of 200 x 200 units, standing on y = 160.

A drawing is SVG markup with `~x` in the place of a fill or stroke; `tiles.INKS` says what each letter becomes, so one
drawing serves every palette. Objects carry things (a bag, a tin, a mug) and have a place for an emblem; figures (a heart,
an owl, a strawberry) are drawn alone or, small, as the emblem of an object. Nothing here reads a title: `tiles` does.
"""

from __future__ import annotations

# Objects. `EMBLEM_AT` gives where a figure sits on them.
OBJECTS: dict[str, str] = {
    "bag": """<path ~k d="M72 78V62a28 28 0 0 1 56 0v16"/><path ~p d="M46 76h108l8 84H38z"/>
        <path ~h d="M128 76h26l8 84h-24z"/><path ~y d="M46 76h108l1 9H45z"/>""",
    "lunch bag": """<path ~p d="M56 70h88l8 90H48z"/><path ~d d="M54 52h92l2 26H52z"/>
        <path ~h d="M126 70h18l8 90h-20z"/>
        <rect ~l x="86" y="70" width="28" height="14" rx="4"/><path ~k d="M84 52v-8a16 16 0 0 1 32 0v8"/>""",
    "purse": """<path ~p d="M44 96q56-26 112 0l6 48q-62 30-124 0z"/><path ~x d="M48 94q52-28 104 0"/>
        <circle ~a cx="92" cy="72" r="8"/><circle ~a cx="108" cy="72" r="8"/>
        <path ~h d="M132 88q14 3 24 8l6 48q-14 8-28 11z"/>""",
    "box": """<path ~p d="M44 88h112v72H44z"/><path ~d d="M38 68h124v24H38z"/><path ~h d="M126 92h30v68h-30z"/>
        <path ~y d="M38 68h124v7H38z"/>""",
    "lunch box": """<path ~k d="M76 78V64a8 8 0 0 1 8-8h32a8 8 0 0 1 8 8v14"/>
        <rect ~p x="36" y="76" width="128" height="84" rx="16"/>
        <path ~h d="M36 112h128v10H36z"/><rect ~a x="88" y="106" width="24" height="22" rx="6"/>""",
    "trinket box": """<path ~p d="M50 108h100v36a14 14 0 0 1-14 14H64a14 14 0 0 1-14-14z"/>
        <path ~d d="M44 108q4-40 56-40t56 40z"/>
        <circle ~a cx="100" cy="62" r="10"/><rect ~l x="44" y="104" width="112" height="9" rx="4"/>
        <path ~h d="M128 113h22v31q0 14-14 14h-8z"/>""",
    "tin": """<path ~p d="M50 74h100v76q0 10-50 10t-50-10z"/><ellipse ~d cx="100" cy="74" rx="54" ry="13"/>
        <ellipse ~l cx="100" cy="69" rx="54" ry="13"/><ellipse ~y cx="100" cy="67" rx="42" ry="8"/>
        <path ~h d="M128 84q14-2 22-6v72q0 6-22 8z"/>""",
    "jar": """<rect ~a x="68" y="48" width="64" height="18" rx="5"/>
        <path ~g d="M64 70h72q14 8 14 24v50q0 16-16 16H66q-16 0-16-16V94q0-16 14-24z"/>
        <path ~p d="M56 108h88v38q0 8-10 8H66q-10 0-10-8z"/><path ~y d="M62 92q0-10 8-14v70q-8-2-8-10z"/>""",
    "mug": """<path ~K d="M140 84h10a18 18 0 0 1 0 48h-12"/>
        <path ~p d="M50 64h92v78a18 18 0 0 1-18 18H68a18 18 0 0 1-18-18z"/>
        <path ~h d="M120 64h22v78q0 18-18 18h-4z"/><ellipse ~l cx="96" cy="64" rx="46" ry="8"/>""",
    "teacup": """<path ~k d="M136 88h10a15 15 0 0 1 0 34h-16"/><path ~p d="M46 80h96q0 60-48 60T46 80z"/>
        <ellipse ~l cx="94" cy="80" rx="48" ry="8"/>
        <path ~d d="M34 144h126q-10 16-36 16H70q-26 0-36-16z"/><path ~h d="M120 86l22-2q-2 48-34 55 16-20 12-53z"/>
        <path ~n d="M84 64q-8-10 0-18M104 64q-8-10 0-18"/>""",
    "teapot": """<path ~K d="M142 96q24-6 20 18t-28 24"/><path ~d d="M60 112L34 92l-4 8 26 40z"/>
        <ellipse ~p cx="100" cy="118" rx="50" ry="42"/>
        <path ~d d="M72 84q28-18 56 0z"/><circle ~a cx="100" cy="68" r="8"/>
        <path ~h d="M124 82q26 12 26 38t-30 38q18-36 4-76z"/>""",
    "jug": """<path ~K d="M136 78q28 2 22 30t-28 26"/><path ~p d="M62 54l-14-10q4 18 12 26 4 12-4 34-6 56 44
        56t44-56q-6-20-4-50z"/>
        <path ~l d="M48 44l14 10h78v9H60q-8-6-12-19z"/><path ~h d="M124 62h14q-2 24 6 42 6 50-34 55 30-40
        14-97z"/>""",
    "bottle": """<rect ~a x="84" y="36" width="32" height="22" rx="6"/>
        <path ~p d="M78 58h44q-2 12 14 18 14 6 14 22v46a16 16 0 0 1-16 16H66a16 16 0 0 1-16-16V98q0-16 14-22 16-6
        14-18z"/>
        <path ~h d="M122 58q-2 12 14 18 14 6 14 22v46q0 16-16 16h-6z"/>""",
    "glass": """<path ~g d="M58 52h84l-10 108H68z"/><path ~p d="M63 96h74l-6 58H69z"/>
        <path ~y d="M70 60h10l6 90h-8z"/>""",
    "candle": """<path ~f d="M100 34q16 20 0 36-16-16 0-36z"/><path ~k d="M100 64v14"/>
        <rect ~p x="70" y="78" width="60" height="76" rx="6"/>
        <ellipse ~l cx="100" cy="80" rx="30" ry="7"/><ellipse ~d cx="100" cy="154" rx="52" ry="8"/>
        <path ~h d="M114 86h16v64h-16z"/>""",
    "t-light": """<circle ~o cx="100" cy="92" r="66"/><path ~g d="M54 84h92l-10 66a12 12 0 0 1-12 10H76a12 12 0 0
        1-12-10z"/>
        <path ~p d="M58 112h84l-6 38a12 12 0 0 1-12 10H76a12 12 0 0 1-12-10z"/>
        <path ~f d="M100 66q14 18 0 34-14-16 0-34z"/><path ~y d="M62 90h12l8 62h-6q-4 0-5-5z"/>""",
    "lantern": """<circle ~o cx="100" cy="112" r="62"/><circle ~k cx="100" cy="42" r="11"/>
        <path ~d d="M66 74l34-26 34 26z"/><rect ~g x="66" y="76" width="68" height="70"/>
        <path ~f d="M100 90q14 18 0 34-14-16 0-34z"/><rect ~l x="88" y="122" width="24" height="24" rx="3"/>
        <path ~p d="M58 144h84l6 16H52z"/><path ~K d="M66 76v70M134 76v70"/>""",
    "lamp": """<circle ~o cx="100" cy="84" r="66"/><path ~p d="M76 44h48l26 60H50z"/><path ~K d="M100 104v44"/>
        <path ~d d="M66 148h68l8 12H58z"/>
        <path ~h d="M112 44h12l26 60h-28z"/>""",
    "string lights": """<path ~k d="M30 62q70 56 140 0"/><g ~f><circle cx="52" cy="92" r="13"/>
        <circle cx="100" cy="106" r="13"/><circle cx="148" cy="92" r="13"/></g>
        <g ~d><rect x="46" y="72" width="12" height="10"/><rect x="94" y="84" width="12" height="11"/>
        <rect x="142" y="72" width="12" height="10"/></g><circle ~o cx="100" cy="106" r="34"/>""",
    "clock": """<circle ~a cx="64" cy="54" r="17"/>
        <circle ~a cx="136" cy="54" r="17"/><path ~K d="M70 148l-10 13M130 148l10 13"/>
        <circle ~m cx="100" cy="104" r="56"/><circle ~w cx="100" cy="104" r="43"/><path ~k d="M100 72v32l20 14"/>
        <g ~d><circle cx="100" cy="67" r="3"/><circle cx="137" cy="104" r="3"/><circle cx="100" cy="141" r="3"/>
        <circle cx="63" cy="104" r="3"/></g>""",
    "cake stand": """<path ~k d="M100 44v112"/><ellipse ~p cx="100" cy="142" rx="62" ry="10"/>
        <ellipse ~p cx="100" cy="104" rx="46" ry="9"/><ellipse ~p cx="100" cy="70" rx="30" ry="7"/>
        <path ~a d="M60 132q8-18 20 0zM92 132q8-18 20 0zM122 132q8-18 20 0zM74 95q8-16 18 0zM108 95q8-16 18 0zM92
        63q8-14 16 0z"/><circle ~d cx="100" cy="40" r="7"/><path ~d d="M76 158h48l-12-10H88z"/>""",
    "cake cases": """<path ~p d="M52 104h96l-14 56H66z"/><path ~n d="M72 108l6 48M100 108v48M128 108l-6 48"/>
        <path ~a d="M46 104q-6-22 18-28 4-26 36-26t36 26q24 6 18 28z"/><circle ~f cx="100" cy="46" r="9"/>""",
    "plate": """<circle ~p cx="100" cy="104" r="60"/><circle ~l cx="100" cy="104" r="42"/>
        <circle ~y cx="100" cy="104" r="34"/>""",
    "bowl": """<path ~p d="M38 88h124q0 72-62 72T38 88z"/><ellipse ~d cx="100" cy="88" rx="62" ry="14"/>
        <ellipse ~l cx="100" cy="88" rx="52" ry="9"/>
        <path ~h d="M130 100q22-2 32-10 0 58-48 69 24-22 16-59z"/>""",
    "cutlery": """<g ~m><rect x="64" y="98" width="12" height="62" rx="6"/>
        <path d="M54 44h6v34h6V44h8v34h6V44h6v40q0 18-16 18T54 84z"/>
        <ellipse cx="130" cy="68" rx="17" ry="26"/></g><rect ~p x="124" y="90" width="12" height="70" rx="6"/>
        <rect ~a x="62" y="120" width="16" height="40" rx="8"/>
        <rect ~a x="122" y="120" width="16" height="40" rx="8"/>""",
    "basket": """<path ~K d="M56 90q4-50 44-50t44 50"/><path ~p d="M40 88h120l-12 72H52z"/>
        <path ~n d="M44 106h112M48 124h104M50 142h100M72 90l6 68M100 90v68M128 90l-6 68"/>
        <rect ~d x="36" y="82" width="128" height="13" rx="6"/>""",
    "bunting": """<path ~k d="M24 62q76 40 152 0"/><path ~p d="M32 68l36 12-12 44z"/>
        <path ~l d="M70 82h38l-18 48z"/><path ~p d="M110 82l36-8-10 48z"/><path ~a d="M148 74l24-12 2 38z"/>
        <path ~x d="M28 128q72 32 144 0"/>
        <path ~a d="M52 138l22 4-12 20z"/><path ~p d="M88 146h24l-12 20z"/><path ~l d="M126 142l22-4-10 24z"/>""",
    "garland": """<path ~x d="M28 66q72 84 144 0"/><g ~p><circle cx="46" cy="84" r="13"/>
        <circle cx="154" cy="84" r="13"/><circle cx="100" cy="108" r="15"/></g>
        <g ~a><circle cx="72" cy="100" r="11"/><circle cx="128" cy="100" r="11"/></g><path ~k d="M100 124v30"/>
        <circle ~l cx="100" cy="150" r="9"/>""",
    "paper chain": """<g fill="none" stroke-width="10"><g ~1><circle cx="42" cy="84" r="19"/>
        <circle cx="100" cy="112" r="19"/><circle cx="158" cy="84" r="19"/></g>
        <g ~2><circle cx="70" cy="104" r="19"/><circle cx="130" cy="104" r="19"/></g></g>""",
    "card": """<path ~l d="M52 50l62-8v108l-62 10z"/><path ~p d="M66 50h84v110H66z"/><path ~h d="M66 50h9v110h-9z"/>
        <path ~n d="M84 142h48"/>""",
    "playing cards": """<g transform="rotate(-14 84 150)"><rect ~p x="50" y="52" width="66" height="94" rx="8"/></g>
        <g transform="rotate(10 110 150)"><rect ~w x="84" y="50" width="66" height="96" rx="8"/>
        <path ~a d="M117 122q-24-18-16-30 8-8 16 3 8-11 16-3 8 12-16 30z"/></g>""",
    "wrap": """<g transform="rotate(-28 100 104)"><rect ~p x="34" y="80" width="132" height="44" rx="6"/>
        <ellipse ~d cx="166" cy="102" rx="10" ry="22"/><ellipse ~l cx="166" cy="102" rx="5" ry="12"/>
        <path ~h d="M34 108h132v16H34z"/></g><path ~a d="M92 78l18 6-12 56-18-6z"/>""",
    "ribbon": """<circle ~p cx="100" cy="96" r="50"/><circle ~d cx="100" cy="96" r="20"/>
        <circle ~l cx="100" cy="96" r="12"/><path ~a d="M116 138q24 4 30-10l12 10q-12 26-46 18z"/>
        <circle ~j cx="100" cy="96" r="36"/>""",
    "gift": """<rect ~p x="46" y="86" width="108" height="74" rx="4"/>
        <rect ~d x="38" y="70" width="124" height="24" rx="4"/><path ~a d="M90 70h20v90H90z"/>
        <path ~x d="M100 70q-40 0-34-20t34 20q28-40 34-20t-34 20"/>""",
    "sign": """<path ~k d="M60 72l40-32 40 32"/><circle ~d cx="100" cy="40" r="5"/>
        <rect ~p x="32" y="70" width="136" height="76" rx="10"/>
        <rect ~n x="40" y="78" width="120" height="60" rx="6"/>""",
    "chalkboard": """<rect ~d x="36" y="50" width="128" height="100" rx="6"/>
        <rect fill="#2f3733" x="46" y="60" width="108" height="80" rx="2"/>
        <path ~n d="M62 84h64M62 102h76M62 120h44"/><rect ~l x="88" y="150" width="44" height="7" rx="3"/>""",
    "frame": """<path ~k d="M84 50l16-14 16 14"/><rect ~m x="48" y="48" width="104" height="112" rx="4"/>
        <rect ~h x="58" y="58" width="84" height="92"/><rect ~w x="62" y="62" width="76" height="84"/>
        <path ~l d="M62 146v-26l24-26 22 24 14-12 16 18v22z"/><circle ~a cx="120" cy="82" r="9"/>""",
    "mirror": """<ellipse ~p cx="100" cy="94" rx="52" ry="58"/><ellipse ~g cx="100" cy="94" rx="39" ry="45"/>
        <ellipse ~w cx="100" cy="94" rx="39" ry="45" opacity=".5"/><path ~y d="M74 112l38-52h14l-46 66z"/>
        <path ~d d="M84 150h32l8 12H76z"/>""",
    "doormat": """<path ~p d="M34 78h132l10 70H24z"/><path ~n d="M44 88h112l6 50H38z"/>
        <path ~k d="M26 150v9M44 150v9M62 150v9M80 150v9M100 150v9M120 150v9M138 150v9M156 150v9M174 150v9"/>""",
    "cushion": """<path ~p d="M46 60q54 10 108 0 12 0 10 12-8 34 0 68 2 12-10 12-54-8-108 0-12 0-10-12 8-34
        0-68-2-12 10-12z"/><path ~h d="M136 62q18-2 18-2 12 0 10 12-8 34 0 68 2 12-10 12l-26-3q26-36 8-87z"/>""",
    "umbrella": """<path ~K d="M100 92v54a12 12 0 0 0 24 0"/>
        <path ~p d="M30 98q8-58 70-60 62 2 70 60-16-14-34 0-16-14-36 0-20-14-36 0-18-14-34 0z"/>
        <path ~h d="M100 38q62 2 70 60-16-14-34 0 2-40-36-60z"/><path ~k d="M100 38v-8"/>""",
    "apron": """<path ~k d="M80 62q-2-26 20-26t20 26"/><path ~p d="M76 60h48q2 24 26 34v66H50V94q24-10 26-34z"/>
        <rect ~l x="76" y="112" width="48" height="30" rx="4"/><path ~k d="M50 98l-18 12M150 98l18 12"/>""",
    "towel": """<rect ~d x="30" y="50" width="140" height="9" rx="4"/><path ~p d="M52 54h96v106H52z"/>
        <path ~l d="M52 132h96v7H52zM52 144h96v4H52z"/><path ~h d="M52 54h96v10H52z"/>""",
    "napkin": """<path ~l d="M100 46l62 62-62 52-62-52z"/><path ~p d="M100 46l62 62H38z"/>
        <path ~p d="M38 108h124l-62 52z" opacity=".85"/><path ~n d="M38 108h124"/>""",
    "notebook": """<rect ~p x="56" y="46" width="96" height="114" rx="8"/>
        <rect ~d x="56" y="46" width="18" height="114" rx="6"/>
        <rect ~l x="88" y="64" width="50" height="26" rx="4"/><path ~x d="M140 46v114"/>""",
    "pencils": """<g transform="rotate(14 100 110)"><path ~m d="M64 76h20v76H64zM74 50l10 26H64z"/></g>
        <path ~p d="M90 70h20v86H90z"/><path ~l d="M100 42l10 28H90z"/><path ~d d="M100 42l4 11h-8z"/>
        <g transform="rotate(-14 100 110)"><path ~a d="M116 76h20v76h-20z"/><path ~l d="M126 50l10 26h-20z"/></g>""",
    "hook": """<rect ~p x="34" y="58" width="132" height="40" rx="10"/>
        <path ~K d="M60 90v30a13 13 0 0 0 26 0M112 90v30a13 13 0 0 0 26 0"/><g ~a><circle cx="60" cy="78" r="7"/>
        <circle cx="112" cy="78" r="7"/></g>""",
    "key": """<circle ~j cx="70" cy="84" r="26"/><path ~K d="M90 102l56 50M122 130l14-14M136 144l12-12"/>
        <circle ~a cx="70" cy="84" r="9"/>""",
    "knob": """<ellipse ~d cx="100" cy="150" rx="34" ry="9"/><path ~d d="M86 112h28l6 38H80z"/>
        <circle ~p cx="100" cy="86" r="42"/><ellipse ~y cx="86" cy="68" rx="14" ry="9"/>""",
    "cabinet": """<path ~k d="M56 156v8M144 156v8"/><rect ~m x="44" y="48" width="112" height="110" rx="5"/>
        <rect ~l x="53" y="58" width="94" height="27" rx="3"/><rect ~l x="53" y="91" width="94" height="27" rx="3"/>
        <rect ~l x="53" y="124" width="94" height="27" rx="3"/><g ~a><circle cx="100" cy="72" r="5"/>
        <circle cx="100" cy="105" r="5"/><circle cx="100" cy="138" r="5"/></g>""",
    "tray": """<path ~K d="M40 90q-16 14 0 28M160 90q16 14 0 28"/>
        <rect ~d x="36" y="66" width="128" height="78" rx="14"/>
        <rect ~p x="44" y="74" width="112" height="62" rx="9"/>""",
    "tile": """<rect ~p x="44" y="48" width="112" height="112" rx="8"/>
        <rect ~n x="54" y="58" width="92" height="92" rx="4"/>""",
    "blocks": """<rect ~p x="38" y="106" width="54" height="54" rx="6"/>
        <rect ~a x="108" y="106" width="54" height="54" rx="6"/>
        <rect ~d x="72" y="48" width="54" height="54" rx="6"/>
        <g ~w font-family="Georgia,serif" font-weight="700" font-size="34" text-anchor="middle">
        <text x="65" y="145">A</text><text x="135" y="145">B</text><text x="99" y="87">C</text></g>""",
    "scales": """<path ~l d="M46 60h108l-16 24H62z"/><path ~k d="M100 84v10"/><path ~p d="M58 94h84l16 66H42z"/>
        <circle ~w cx="100" cy="126" r="24"/><path ~k d="M100 126l10-14"/>""",
    "soap": """<rect ~p x="40" y="96" width="120" height="56" rx="26"/>
        <rect ~n x="58" y="110" width="84" height="28" rx="14"/><g ~l><circle cx="66" cy="76" r="12"/>
        <circle cx="94" cy="62" r="17"/><circle cx="126" cy="80" r="10"/></g>""",
    "watering can": """<path ~K d="M66 78q30-44 60 0"/><path ~d d="M58 128L28 86l-8 6 34 58z"/>
        <path ~p d="M56 82h84l8 78H50z"/><path ~K d="M142 96q28-2 24 24t-20 26"/>
        <ellipse ~l cx="98" cy="82" rx="42" ry="7"/>""",
    "plant pot": """<path ~i d="M100 100q-44-6-42-48 40 2 42 48zM100 96q-4-46 38-54 6 42-38 54z"/>
        <path ~p d="M56 100h88l-12 60H68z"/><rect ~d x="50" y="94" width="100" height="16" rx="4"/>""",
    "house": """<path ~d d="M100 38l66 56H34z"/><path ~p d="M50 92h100v68H50z"/>
        <circle ~h cx="100" cy="116" r="15"/><path ~k d="M100 140v10"/>
        <path ~y d="M100 38l66 56h-14L100 50 48 94H34z"/>""",
    "magnets": """<g fill="none" stroke-width="24"><path ~1 d="M62 150V96a38 38 0 0 1 76 0v54"/></g>
        <path ~w d="M50 136h24v24H50zM126 136h24v24h-24z"/>""",
    "necklace": """<path ~x d="M48 44q-6 84 52 86 58-2 52-86"/><g ~p><circle cx="58" cy="96" r="8"/>
        <circle cx="76" cy="118" r="9"/><circle cx="124" cy="118" r="9"/><circle cx="142" cy="96" r="8"/></g>
        <path ~m d="M100 122q24 18 0 40-24-22 0-40z"/><path ~y d="M98 130q-12 14-2 24z"/>""",
    "earrings": """<g ~x><path d="M66 58a11 11 0 1 1 12 10v14M122 58a11 11 0 1 1 12 10v14"/></g>
        <path ~p d="M78 84q30 40 0 68-30-28 0-68zM134 84q30 40 0 68-30-28 0-68z"/><g ~y>
        <path d="M74 102q-12 22 0 38zM130 102q-12 22 0 38z"/></g>""",
    "bracelet": """<ellipse ~j cx="100" cy="106" rx="54" ry="40"/><g ~a><circle cx="62" cy="134" r="12"/>
        <circle cx="100" cy="146" r="14"/><circle cx="138" cy="134" r="12"/></g><g ~l>
        <circle cx="58" cy="130" r="4"/><circle cx="95" cy="141" r="5"/><circle cx="134" cy="130" r="4"/></g>""",
    "ring": """<circle ~j cx="100" cy="118" r="38"/><path ~a d="M76 60h48l16 16-40 34-40-34z"/>
        <path ~y d="M76 60h24L88 76H60zM100 60l12 16-12 34-12-34z"/>""",
    "wreath": """<circle fill="none" ~1 cx="100" cy="100" r="46" stroke-width="24"/><g ~a><circle cx="58" cy="84" r="8"/>
        <circle cx="130" cy="66" r="8"/><circle cx="142" cy="120" r="8"/><circle cx="72" cy="64" r="6"/></g>
        <path ~f d="M100 144l-30-14v30zM100 144l30-14v30z"/><circle ~a cx="100" cy="145" r="8"/>""",
    "fan": """<path ~p d="M100 152L28 98q20-54 72-54t72 54z"/>
        <path ~n d="M100 152L52 70M100 152L80 50M100 152l20-102M100 152l48-82"/>
        <path ~d d="M84 138q16-10 32 0l-16 22z"/>""",
    "fragrance": """<path ~n d="M92 70q-14-14 0-26t0-20M112 78q12-12 0-24t2-18"/>
        <path ~k d="M98 126l-6-56M106 126l8-46"/><path ~p d="M54 122h92q-4 38-46 38t-46-38z"/>""",
    "letter": """<rect ~p x="36" y="62" width="128" height="92" rx="8"/>
        <path ~l d="M36 70l64 50 64-50q0-8-8-8H44q-8 0-8 8z"/><path ~n d="M36 70l64 50 64-50"/>""",
    "toy": """<circle ~d cx="66" cy="148" r="13"/><circle ~d cx="132" cy="148" r="13"/>
        <path ~p d="M40 112h42V76h52l24 36v32H40z"/><path ~l d="M96 86h30l16 26H96z"/>
        <path ~a d="M46 92h26v20H46z"/><circle ~l cx="66" cy="148" r="5"/><circle ~l cx="132" cy="148" r="5"/>""",
    "parcel": """<path ~p d="M40 76l60-26 60 26v58l-60 28-60-28z"/><path ~l d="M40 76l60-26 60 26-60 26z"/>
        <path ~h d="M100 102l60-26v58l-60 28z"/><path ~a d="M66 64l60 26v22l-12 6V96L54 70z"/>""",
}

# Figures: alone on a tile, or small on an object.
FIGURES: dict[str, str] = {
    "heart": """<path ~p d="M100 156Q28 106 40 70q16-30 60 4 44-34 60-4 12 36-60 86z"/>
        <path ~y d="M52 84q0-22 20-20-14 8-10 30z"/>""",
    "star": """<path ~p d="M100 38l19 42 46 5-34 31 9 45-40-23-40 23 9-45-34-31 46-5z"/>
        <path ~y d="M100 38l-8 42-57 5 46-5z"/>""",
    "flower": """<g ~p><circle cx="100" cy="64" r="26"/><circle cx="136" cy="90" r="26"/>
        <circle cx="122" cy="132" r="26"/><circle cx="78" cy="132" r="26"/><circle cx="64" cy="90" r="26"/></g>
        <circle ~f cx="100" cy="102" r="20"/>""",
    "rose": """<path ~i d="M58 134q-28 6-34-16 28-8 34 16zM142 134q28 6 34-16-28-8-34 16z"/>
        <circle ~p cx="100" cy="100" r="52"/><path ~n d="M100 100q12-10 18 2t-14 20q-26 2-26-26t32-28q34 4 32 36t-40
        38"/>""",
    "tree": """<rect ~d x="90" y="136" width="20" height="24"/>
        <path ~q d="M100 34l30 40h-14l26 34h-16l24 32H50l24-32H58l26-34H70z"/><g ~a><circle cx="88" cy="92" r="6"/>
        <circle cx="112" cy="112" r="6"/><circle cx="84" cy="126" r="6"/></g><circle ~f cx="100" cy="36" r="8"/>""",
    "leaf": """<path ~p d="M44 152Q34 62 154 48q4 106-92 100"/>
        <path ~n d="M46 154q30-60 84-84M74 116l-2-28M92 98l30 2"/>""",
    "bird": """<path ~p d="M36 112q14-46 62-42 8-26 34-22 22 4 24 26l16 8-16 8q0 58-56 62-34 0-44-22l-30 4z"/>
        <path ~d d="M78 104q34-8 44 12-18 26-48 6z"/><circle ~d cx="136" cy="70" r="5"/>
        <path ~k d="M94 150v12M108 150v12"/>""",
    "owl": """<path ~p d="M52 56l20 8q28-14 56 0l20-8q8 104-48 104T52 56z"/><circle ~w cx="80" cy="88" r="19"/>
        <circle ~w cx="120" cy="88" r="19"/><circle ~d cx="80" cy="88" r="8"/><circle ~d cx="120" cy="88" r="8"/>
        <path ~f d="M92 102h16l-8 14z"/><path ~n d="M80 128q10 9 20 0 10 9 20 0"/>""",
    "butterfly": """<path ~p d="M96 100Q50 34 34 72t48 38Q38 124 58 148t40-36zM104 100q46-66 62-28t-48 38q44 14 24
        38t-40-36z"/><rect ~d x="96" y="74" width="8" height="72" rx="4"/>
        <path ~k d="M98 76q-4-20-16-24M102 76q4-20 16-24"/>""",
    "rabbit": """<ellipse ~m cx="82" cy="62" rx="12" ry="34"/><ellipse ~m cx="118" cy="62" rx="12" ry="34"/>
        <ellipse ~a cx="82" cy="66" rx="5" ry="22"/><ellipse ~a cx="118" cy="66" rx="5" ry="22"/>
        <circle ~p cx="100" cy="118" r="44"/><circle ~d cx="84" cy="112" r="5"/><circle ~d cx="116" cy="112" r="5"/>
        <path ~a d="M92 126h16l-8 9z"/><path ~k d="M100 135v8"/>""",
    "cat": """<path ~p d="M54 48l28 22h36l28-22q10 50 2 76-12 34-48 34t-48-34q-8-26 2-76z"/>
        <circle ~d cx="80" cy="106" r="6"/><circle ~d cx="120" cy="106" r="6"/><path ~a d="M92 122h16l-8 9z"/>
        <path ~n d="M44 120l24 4M156 120l-24 4"/>""",
    "dog": """<circle ~p cx="100" cy="106" r="50"/><path ~d d="M56 72q-28 8-20 62 24 0 30-38zM144 72q28 8 20 62-24
        0-30-38z"/><circle ~d cx="82" cy="98" r="6"/><circle ~d cx="118" cy="98" r="6"/>
        <ellipse ~d cx="100" cy="120" rx="12" ry="9"/><path ~k d="M100 128v10"/>""",
    "chick": """<circle ~p cx="100" cy="108" r="50"/><path ~d d="M56 112q-22 4-20 24 24 2 30-14zM144 112q22 4 20
        24-24 2-30-14z"/><circle ~d cx="84" cy="94" r="5"/><circle ~d cx="116" cy="94" r="5"/>
        <path ~a d="M88 106h24l-12 14z"/><path ~a d="M100 60l-9-16 12 6 10-8-4 18z"/>""",
    "egg": """<path ~p d="M100 40q50 30 50 76 0 44-50 44t-50-44q0-46 50-76z"/>
        <path ~n d="M54 100l16 12 15-12 15 12 15-12 15 12 16-12M54 126l16 10 15-10 15 10 15-10 15 10 16-10"/>""",
    "doll": """<path ~p d="M100 40q36 0 38 38 22 14 22 44 0 38-60 38t-60-38q0-30 22-44 2-38 38-38z"/>
        <circle fill="#f6d9c0" cx="100" cy="78" r="24"/><path ~d d="M76 76q4-24 24-24t24 24q-14-2-24-14-10 12-24
        14z"/><circle ~d cx="92" cy="82" r="3"/><circle ~d cx="108" cy="82" r="3"/>
        <circle ~a cx="100" cy="130" r="14"/><circle ~l cx="100" cy="130" r="5"/>""",
    "fairy": """<path ~l d="M94 92Q44 46 46 92t46 18zM106 92q50-46 48 0t-46 18z"/><path ~p d="M100 88l34 66H66z"/>
        <circle fill="#f6d9c0" cx="100" cy="72" r="19"/><path ~d d="M80 70q4-24 20-24t20 24q-20-8-40 0z"/>
        <path ~f d="M146 56l4 9 10 1-8 7 2 10-8-5-9 5 2-10-7-7 9-1z"/>""",
    "skull": """<path ~l d="M100 42q54 0 54 50 0 26-18 36v28H64v-28q-18-10-18-36 0-50 54-50z"/>
        <circle ~d cx="80" cy="98" r="14"/><circle ~d cx="120" cy="98" r="14"/><path ~d d="M94 116h12l-6-10z"/>
        <path ~k d="M86 140v16M100 140v16M114 140v16"/>""",
    "apple": """<path ~p d="M100 76q44-26 56 14 4 42-34 70-12 2-22-4-10 6-22 4-38-28-34-70 12-40 56-14z"/>
        <path ~k d="M100 74q0-18 10-30"/><path ~i d="M112 54q16-20 36-12-8 20-36 12z"/>
        <path ~y d="M58 92q2-16 16-16-10 8-8 24z"/>""",
    "pear": """<path ~p d="M100 54q24 0 26 32 28 20 22 50-8 24-48 24t-48-24q-6-30 22-50 2-32 26-32z"/>
        <path ~k d="M100 54V38"/><path ~i d="M104 46q14-16 30-8-8 16-30 8z"/>""",
    "strawberry": """<path ~p d="M50 78q50-20 100 0 8 46-50 82-58-36-50-82z"/>
        <path ~i d="M100 78l-40-4 20-10-4-18 24 14 24-14-4 18 20 10z"/><g ~l>
        <ellipse cx="76" cy="98" rx="3" ry="5"/><ellipse cx="100" cy="98" rx="3" ry="5"/>
        <ellipse cx="124" cy="98" rx="3" ry="5"/><ellipse cx="88" cy="120" rx="3" ry="5"/>
        <ellipse cx="112" cy="120" rx="3" ry="5"/><ellipse cx="100" cy="140" rx="3" ry="5"/></g>""",
    "cherry": """<path ~k d="M70 116q6-54 60-72-6 40 0 78"/><circle ~p cx="68" cy="132" r="27"/>
        <circle ~p cx="130" cy="136" r="27"/><path ~i d="M130 44q26-6 36 14-24 10-36-14z"/>
        <circle ~y cx="60" cy="122" r="7"/><circle ~y cx="122" cy="126" r="7"/>""",
    "toadstool": """<path ~l d="M80 104h40l8 48q-28 14-56 0z"/><path ~m d="M34 106q8-64 66-64t66 64q-66 16-132 0z"/>
        <g ~w><circle cx="76" cy="80" r="10"/><circle cx="110" cy="66" r="9"/><circle cx="132" cy="92" r="9"/>
        <circle cx="100" cy="98" r="7"/></g>""",
    "rocket": """<path ~p d="M100 36q32 30 26 92H74q-6-62 26-92z"/><circle ~g cx="100" cy="86" r="15"/>
        <path ~a d="M74 104l-22 34 24-8zM126 104l22 34-24-8z"/><path ~f d="M86 132h28l-14 30z"/>""",
    "dinosaur": """<path ~p d="M36 146q36-6 40-36 2-46 40-52 44-2 44 26-2 16-34 14-6 10-2 22l8 40h-22l-8-26h-12l-6
        26H62l-2-16z"/><circle ~d cx="134" cy="76" r="5"/><path ~a d="M78 96l-12-8 4 20zM90 72l-10-12 0 20z"/>""",
    "angel": """<path ~l d="M92 92Q36 60 38 110q24 20 54 4zM108 92q56-32 54 18-24 20-54 4z"/>
        <path ~p d="M100 90l36 70H64z"/><circle fill="#f6d9c0" cx="100" cy="76" r="18"/>
        <ellipse ~x cx="100" cy="48" rx="20" ry="6"/>""",
    "bell": """<path ~p d="M100 44q38 4 38 56 0 26 18 40H44q18-14 18-40 0-52 38-56z"/>
        <circle ~a cx="100" cy="148" r="12"/><circle ~d cx="100" cy="42" r="7"/>
        <path ~h d="M116 48q22 10 22 52 0 26 18 40h-28q8-60-12-92z"/>""",
    "bauble": """<path ~k d="M100 46V32"/><rect ~a x="88" y="44" width="24" height="14" rx="3"/>
        <circle ~p cx="100" cy="108" r="52"/><path ~n d="M50 98q50 20 100 0M50 118q50 20 100 0"/>
        <circle ~y cx="80" cy="84" r="12"/>""",
    "shell": """<path ~p d="M100 154Q30 130 40 84q12-40 60-40t60 40q10 46-60 70z"/>
        <path ~n d="M100 150L60 66M100 150L82 50M100 150l18-100M100 150l40-84"/>
        <path ~d d="M80 146h40l-8 14H88z"/>""",
    "bead": """<g ~p><circle cx="74" cy="84" r="28"/></g><g ~a><circle cx="128" cy="92" r="24"/></g>
        <circle ~d cx="98" cy="136" r="26"/><g ~y><circle cx="64" cy="74" r="8"/><circle cx="120" cy="84" r="7"/>
        <circle cx="90" cy="127" r="7"/></g>""",
}

# Where a figure sits on an object: centre x, centre y, scale.
EMBLEM_AT: dict[str, tuple[int, int, float]] = {
    "bag": (98, 122, 0.42),
    "lunch bag": (100, 122, 0.36),
    "purse": (100, 122, 0.3),
    "box": (98, 126, 0.36),
    "lunch box": (66, 138, 0.24),
    "trinket box": (98, 134, 0.26),
    "tin": (98, 120, 0.38),
    "jar": (100, 130, 0.26),
    "mug": (94, 114, 0.42),
    "teacup": (92, 108, 0.26),
    "teapot": (98, 120, 0.34),
    "jug": (98, 118, 0.36),
    "bottle": (100, 118, 0.42),
    "candle": (98, 118, 0.3),
    "t-light": (100, 134, 0.24),
    "plate": (100, 104, 0.42),
    "bowl": (98, 126, 0.3),
    "card": (108, 96, 0.44),
    "sign": (100, 108, 0.34),
    "doormat": (100, 114, 0.34),
    "cushion": (98, 106, 0.5),
    "apron": (100, 92, 0.22),
    "notebook": (112, 122, 0.36),
    "tray": (100, 105, 0.34),
    "tile": (100, 104, 0.54),
    "frame": (100, 104, 0.44),
    "towel": (100, 98, 0.38),
    "gift": (66, 128, 0.22),
    "plant pot": (100, 134, 0.28),
    "watering can": (98, 122, 0.34),
    "letter": (100, 112, 0.3),
}
