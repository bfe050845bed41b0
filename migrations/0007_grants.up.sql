-- What operators gave plugins while hosts ran, by the mark that names of generations tell it by.
CREATE TABLE grants (
    plugin TEXT NOT NULL,
    mark TEXT NOT NULL,
    -- JSON, as in the settings.
    grants TEXT NOT NULL,
    PRIMARY KEY (plugin, mark)
);
