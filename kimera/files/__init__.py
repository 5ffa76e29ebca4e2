"""What is read and written: tables, pair files, labels, shards."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "EXTENSIONS",
    "FILES",
    "KINDS_OF_TABLES",
    "SAMPLE_WEIGHT",
    "STANDARD_INPUT",
    "TITLE",
    "Cell",
    "ColumnFault",
    "Encoding",
    "FormatSettings",
    "LabelColumn",
    "LabelReader",
    "PairSettings",
    "ReadCounts",
    "Roles",
    "Row",
    "Segments",
    "Table",
    "TableFormat",
    "Wanted",
    "append_whole",
    "cell_writer",
    "csv_file",
    "drop_torn_line",
    "dropped_rows",
    "find_columns",
    "find_encoding",
    "holds_pair",
    "html_page",
    "is_no_text",
    "is_table_by_content",
    "is_wanted",
    "marked",
    "not_valid",
    "notes_on",
    "open_table",
    "page_policy",
    "page_style",
    "pair_columns_of",
    "pairs_of",
    "pairs_of_table",
    "plain",
    "read_pairs",
    "reading_of",
    "replacing",
    "rows_of",
    "shorten",
    "shown",
    "spooled",
    "stated_column",
    "text_cell",
    "text_head",
    "text_lines",
    "unused_names",
    "write_text",
]

if TYPE_CHECKING:
    from kimera.files.content_policy import page_policy
    from kimera.files.csv_cells import cell_writer, csv_file, text_cell
    from kimera.files.pair_columns import (
        SAMPLE_WEIGHT,
        Cell,
        ColumnFault,
        Roles,
        find_columns,
        is_wanted,
        plain,
        shown,
        stated_column,
        unused_names,
    )
    from kimera.files.pair_files import ReadCounts, dropped_rows, notes_on, pairs_of_table, read_pairs
    from kimera.files.pair_labels import LabelColumn, LabelReader
    from kimera.files.pair_settings import FILES, FormatSettings, PairSettings, pair_columns_of, reading_of
    from kimera.files.pair_tables import pairs_of
    from kimera.files.rows import Row, Table, Wanted, is_no_text, shorten
    from kimera.files.shards import holds_pair, rows_of
    from kimera.files.shared_style import Segments, html_page, marked, page_style
    from kimera.files.standard_input import STANDARD_INPUT, TITLE, spooled
    from kimera.files.tables import EXTENSIONS, KINDS_OF_TABLES, TableFormat, is_table_by_content, open_table
    from kimera.files.text_files import Encoding, find_encoding, not_valid, text_head, text_lines
    from kimera.files.whole_files import append_whole, drop_torn_line, replacing, write_text
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "content_policy": ["page_policy"],
            "csv_cells": ["cell_writer", "csv_file", "text_cell"],
            "shared_style": ["Segments", "html_page", "marked", "page_style"],
            "pair_columns": [
                "SAMPLE_WEIGHT",
                "Cell",
                "ColumnFault",
                "Roles",
                "find_columns",
                "is_wanted",
                "plain",
                "shown",
                "stated_column",
                "unused_names",
            ],
            "pair_files": ["ReadCounts", "dropped_rows", "notes_on", "pairs_of_table", "read_pairs"],
            "pair_labels": ["LabelColumn", "LabelReader"],
            "pair_settings": ["FILES", "FormatSettings", "PairSettings", "pair_columns_of", "reading_of"],
            "pair_tables": ["pairs_of"],
            "rows": ["Row", "Table", "Wanted", "is_no_text", "shorten"],
            "shards": ["holds_pair", "rows_of"],
            "standard_input": ["STANDARD_INPUT", "TITLE", "spooled"],
            "tables": ["EXTENSIONS", "KINDS_OF_TABLES", "TableFormat", "is_table_by_content", "open_table"],
            "text_files": ["Encoding", "find_encoding", "not_valid", "text_head", "text_lines"],
            "whole_files": ["append_whole", "drop_torn_line", "replacing", "write_text"],
        },
    )
