"""Reports: one page about a run or a batch that needs no network, runs no script and shows hostile text as text.

journal rows, picture, prompts --collect--> RunReport --run_page--> HTML
the report of a batch in Markdown, its plot --batch_page--> HTML
"""
