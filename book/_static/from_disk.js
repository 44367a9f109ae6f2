// A page that is opened from disk may not read another one, so search shows titles without the text around them.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
