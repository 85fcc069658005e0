"""What the pages say of notes and corrections, in English."""

TEXTS = {
    "caption.raw": "as stored, without corrections",
    "field.raw": "Values as stored",
    "nav.notes": "Notes",
    "notes.title": "Notes and corrections",
    "notes.lead": (
        "Notes stand in the charts at their time. Corrections change what is shown, never "
        "what is stored; each can be undone."
    ),
    "notes.write": "Write",
    "notes_add.note": "Write a note",
    "notes_add.hide": "Hide readings",
    "notes_add.adjust": "Adjust a sensor",
    "notes_hint.note": "What happened: a window was opened, a heater moved, a sensor changed.",
    "notes_hint.hide": (
        "What lies in this range is not shown and not counted in charts. From the same "
        "time to the same time it is one reading."
    ),
    "notes_hint.adjust": (
        "Shown is the value times the gain plus the offset. A sensor that reads 0.8 °C too "
        "much has the offset -0.8."
    ),
    "notes_field.what": "Form",
    "notes_field.about": "Of",
    "notes_field.from": "From",
    "notes_field.to": "To",
    "notes_field.offset": "Offset (added)",
    "notes_field.gain": "Gain (multiplied)",
    "notes_field.text": "Text",
    "notes_field.reason": "Why (optional)",
    "notes_field.id": "Number",
    "notes_to.note": "Empty: a single moment.",
    "notes_to.adjust": "Empty ends are open: from the first reading, until further notice.",
    "notes.house": "the whole house",
    "notes.choose": "choose …",
    "notes.all_of": "{station}: whole readings",
    "notes.of": "{station}: {name}",
    "notes.save": "Save",
    "notes.notes": "Notes",
    "notes.corrections": "Corrections",
    "notes.no_notes": "No notes yet.",
    "notes.no_corrections": "Nothing is corrected: what is shown is what was stored.",
    "notes.counts": (
        "What is hidden stays hidden. Of several offsets and gains of one time the one "
        "written last counts, alone."
    ),
    "notes.hidden": "hidden",
    "notes.always": "always",
    "notes.written_at": "written {time}",
    "notes.undone_at": "taken back {time}",
    "notes.undo": "Undo",
    "notes.undo_title": "Undo: {what}, {when}",
    "notes.undone": "Taken back ({n})",
    "notes.wrong": "Nothing was saved, because of this:",
    "notes.full": "there are too many: take some back, or hide a range instead of single readings",
    "notes.one_machine": "It is saved, but on one machine only: the second server of the database is away. There is nothing to do: it gets it as soon as it is back.",
    "notes.unwritten": "nothing was written, for the database takes nothing at the moment: send it again in a few seconds",
    "notes.raw": "The history as it was stored",
    "notes.here": "Write a note",
    "notes.see_raw": "Show values as stored",
    "notes.see_shown": "Show corrected values",
    "plot.note": "Note: {text}",
    "plot.corrected": "Corrected: {change}",
    "plot.notes_said": "A line with a dot is a note.",
    "operation.notes": "Notes and corrections, also those taken back",
    "operation.notes_page": "Page: notes and corrections",
    "operation.notes_csv": "Notes and corrections as CSV",
    "operation.notes_json_file": "Notes and corrections as a JSON file",
    "operation.write_note": "Write a note or a correction (form)",
    "operation.undo_note": "Take a note or a correction back (form)",
}
